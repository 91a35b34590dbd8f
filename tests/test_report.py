"""The report says what the records say, holds everything itself, and lets no text of theirs become page."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from genbench import cli
from genbench.benchmarks import load_benchmark
from genbench.errors import ProtocolError, UsageError
from genbench.findings import read_map, sentence
from genbench.records import Run
from genbench.report import report_html, write_report
from genbench.report.frames import sheet_of
from genbench.report.gallery import BUDGET, pictures_in, read_albums
from genbench.report.sights import SHADES, sights_of
from genbench.report.svg import Scale, tag
from genbench.results import find_benchmark
from genbench.store import Store
from tests.makers import make_estimate, make_run, make_score
from tests.many_records import draw_grids, many_runs

DIGITS = load_benchmark("digits")
RUNS = [make_run("gan", s, 2.0 + s / 10) for s in range(3)] + [make_run("vae", s, 8.0 + s / 10) for s in range(3)]
REPLAY = make_run("replay", None, 0.1, recipe={"control": "training samples as they are"})
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Elements with their attributes, text by element, and whether every tag is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def attributes(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value or "" for _, found in self.elements for key, value in found.items() if key == name]


def in_words(html: str) -> str:
    """The page's text without tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture(scope="module")
def html() -> str:
    early = [replace(run, step=3000, final=False) for run in RUNS]
    cost = {"train_seconds": 30.0, "parameters": 5e4, "samples_per_second": 1e4}
    return report_html([*(replace(run, cost=cost) for run in [*RUNS, *early]), REPLAY], DIGITS)


def test_every_tag_is_closed_and_every_id_is_one(html: str) -> None:
    page = Page(html)
    assert page.open == []
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in page.attributes("href")} <= set(ids)


def test_the_policy_names_the_one_style_and_the_one_script(html: str) -> None:
    page = Page(html)
    policy = next(a["content"] for tag_, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    for kind, name in (("style", "style-src"), ("script", "script-src")):
        (text,) = page.texts[kind]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_nothing_in_the_page_needs_what_the_policy_forbids(html: str) -> None:
    page = Page(html)
    assert page.attributes("style") == []
    assert [a for _, found in page.elements for a in found if a.startswith("on")] == []
    assert [src for src in page.attributes("src") if not src.startswith("data:image/png;base64,")] == []
    assert re.findall(r"https?://|url\(|@import", html) == []


def test_text_of_records_stays_text() -> None:
    evil = "</script><script>alert(1)</script><b a='\"'>"
    runs = [*RUNS, make_run("gan", 3, scores=(), failure=evil), make_run("x", 0, provenance={"system": evil})]
    runs[0] = replace(runs[0], recipe={"steps": 1, "overrides": {"mode": evil}})
    page = report_html(runs, replace(DIGITS, summary=evil))
    assert "alert(1)</script>" not in page
    assert page.count("<script>") == 1
    assert page.count("&lt;/script&gt;&lt;script&gt;alert(1)") >= 4


def test_the_same_records_give_the_same_bytes(html: str) -> None:
    assert report_html(RUNS, DIGITS) == report_html(list(RUNS), DIGITS)


def test_the_leaderboard_has_the_best_model_first_and_controls_last(html: str) -> None:
    board = html[html.index('<table class="board">') :]
    rows = re.findall(r'<tr( class="control")?><th scope="row">([\w-]+)', board[: board.index("</table>")])
    assert rows == [("", "gan"), ("", "vae"), (' class="control"', "replay")]
    assert "<b>replay</b>, training samples as they are" in html


def test_scores_stand_with_interval_plain_value_and_a_mark_that_is_no_colour(html: str) -> None:
    row = html[html.index('<th scope="row">gan</th>') :]
    cell = row[row.index('<td data-v="1.85"') : row.index("</tr>")]
    assert cell.startswith('<td data-v="1.85" class="best">')
    assert "★" in cell
    assert "[1.602, 2.098]" in cell  # 1.85 -+ 4.303 x 0.1 / sqrt(3)
    assert "plain 2.1" in cell


def test_each_metric_sorts_its_better_end_first() -> None:
    low, high = make_score(), make_score(metric="is", better="higher", split=None)
    match = make_score(metric="entropy", better="match", split=None)
    runs = [make_run("gan", s, scores=(low, high, match)) for s in range(2)]
    heads = re.findall(r'data-first="(\w+)">(\w+) [↓↑≈]', report_html(runs, DIGITS))
    assert heads == [("ascending", "fd"), ("descending", "is"), ("ascending", "entropy")]


def test_what_must_match_sorts_by_its_distance_from_real_data() -> None:
    score = make_score(
        metric="entropy", better="match", split=None, estimate=make_estimate(2.0, debiased=None, null=2.5)
    )
    page = report_html([make_run("gan", s, scores=(make_score(), score)) for s in range(2)], DIGITS)
    assert 'data-v="0.5"' in page


def test_failures_are_shown_with_their_reasons_and_sort_last() -> None:
    broken = make_score(metric="precision", better="higher", estimate=None)
    runs = [*RUNS, make_run("gan", 3, scores=(), failure="diverged: g_loss is not finite")]
    runs[3] = replace(runs[3], scores=(*runs[3].scores, broken))
    text = report_html(runs, DIGITS)
    assert "diverged: g_loss is not finite" in text
    assert "precision@digits-cnn.pool against test: the solver gave up" in text
    assert re.search(r'<td data-v=""><span class="value">failed</span>', text)
    # The mean of the runs that are left is shown, and does not help the model.
    assert re.search(r'<td data-v=""><span class="value">1.85</span>.*<small class="bad">1 failed</small>', text)
    assert "Every run finished" not in text
    assert "Every run finished" in report_html(RUNS, DIGITS)


def test_a_missing_seed_shows_in_the_row() -> None:
    runs = [make_run(name, s, 2.0 + s / 10) for name in ("a", "b", "c", "d") for s in range(3)]
    assert "missing:" not in report_html(runs, DIGITS)
    assert re.search(r"missing: 1\b", report_html([r for r in runs if (r.sampler, r.train_seed) != ("a", 1)], DIGITS))


def test_what_was_run_can_be_run_again(html: str) -> None:
    text = in_words(html)
    assert "genbench run digits" in text
    assert "sha256 " + "cd" * 32 in text
    assert "digits-cnn, sha256 " + "ab" * 32 in text
    assert "0, 1, 2" in text
    assert "6000 updates, 64 rows each" in text


def test_values_that_differ_between_records_are_all_named() -> None:
    text = in_words(report_html([*RUNS, make_run("x", 0, provenance={"genbench": "0.2.0"})], DIGITS))
    assert "0.1.0 (6 records)" in text
    assert "0.2.0 (1 records)" in text


def test_quick_results_say_so(html: str) -> None:
    quick = [replace(run, quick=True, benchmark="digits@1-quick") for run in RUNS]
    assert "not comparable with a full run" in report_html(quick, load_benchmark("digits", quick=True))
    assert "not comparable with a full run" not in html


def test_curves_and_costs_appear_where_records_have_them(html: str) -> None:
    assert "against updates" in html
    assert "against seconds of training" in html
    assert "fd against parameters" in html
    assert 'id="curves"' not in report_html(RUNS, DIGITS)
    assert "fd against parameters" not in report_html(RUNS, DIGITS)


def test_a_training_that_broke_off_is_not_in_the_mean() -> None:
    steps = [make_run("gan", s, 10.0 - k, step=k, final=k == 3) for s in range(2) for k in (1, 2, 3)]
    broken = [make_run("gan", 2, 500.0, step=1, final=False), make_run("gan", 2, step=3, scores=(), failure="diverged")]
    text = report_html([*steps, *broken], DIGITS)
    assert "3 seeds, 1 broken off" in text
    assert "gan: 9 at first, 7 at the end" in text


def test_tables_take_new_columns_and_sentences_as_they_come() -> None:
    frame = pd.DataFrame(
        {
            "benchmark": "b", "model": ["b", "a", "real"], "metric": "fd@x#0123456789ab.pool", "better": "lower",
            "turns_low": [0.1, None, 0.2], "turns_high": [0.2, None, 0.3], "empty": [None, "", None],
            "calm": [True, False, True], "sentence": ["b: fine (t test, p = 0.2, n = 3).", "Fine.", ""],
        }
    )  # fmt: skip
    sheet = sheet_of(frame, ["a", "b"], ["real"])
    assert [c.head for c in sheet.columns] == ["model", "turns 95% interval", "calm"]
    (group,) = sheet.groups
    assert (group.key, group.label) == ("fd@x.pool", "fd@x.pool ↓")
    assert [(r.name, *(f.text for f in r.fields[1:])) for r in group.rows] == [
        ("a", "–", "no"),
        ("b", "[0.1, 0.2]", "yes"),
        ("real", "[0.2, 0.3]", "yes"),
    ]
    assert [r.fields[1].key for r in group.rows] == ["", "0.1", "0.2"]
    assert group.sentences == ["a: Fine.", "b: fine (t test, p = 0.2, n = 3)."]


@pytest.mark.parametrize("numbers", [[1.0, 2.0, 3.5], [-0.5, 0.2, 1.0, 400.0], [1e-6, 1e-5, 1.0], [0.0, 0.0], [5.0]])
def test_scales_hold_their_numbers_in_order_and_ticks_stand_apart(numbers: list[float]) -> None:
    scale = Scale.of(numbers, 10.0, 210.0)
    places = [scale(x) for x in sorted(numbers)]
    assert places == sorted(places)
    assert places[0] >= 10.0
    assert places[-1] <= 210.0
    ticks = [scale(t) for t in scale.ticks(20.0)]
    assert len(ticks) >= 2
    assert min(np.diff(ticks)) >= 20.0 - 1e-9
    assert scale.number_at(scale(numbers[0])) == pytest.approx(numbers[0], abs=1e-12)


def test_drawn_text_is_escaped() -> None:
    assert tag("text", "a<b", x=1.005, class_='"') == '<text x="1" class="&#34;">a&lt;b</text>'


def test_pictures_come_inside_the_page_one_seed_of_each_model_first(tmp_path: Path) -> None:
    runs = many_runs(stops=1)
    draw_grids(tmp_path / "grids", runs)
    names = [f"model-{i}" for i in range(10)]
    albums = {album.name: album for album in read_albums(pictures_in(tmp_path / "grids"), names, [])}
    assert all(albums[name].kind(kind)[0].uri for name in names for kind in ("samples", "nearest", "influence"))
    inside = [p for a in albums.values() for k in ("samples", "nearest", "influence") for p in a.kind(k) if p.uri]
    assert sum(len(base64.b64decode(p.uri.partition(",")[2])) for p in inside) <= BUDGET
    left_out = albums["model-9"].influence[-1]
    assert (left_out.uri, left_out.file) == ("", "model-9-seed4-influence.png")
    assert "Left out to keep the page small: model-9-seed4-influence.png" in report_html(
        runs, DIGITS, tmp_path / "grids"
    )


def test_a_file_that_is_no_picture_or_of_nobody_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "gan-seed0.png").write_bytes(b"<svg onload=alert(1)>")
    Image.new("L", (3, 2)).save(tmp_path / "stranger-seed0.png")
    Image.new("L", (3, 2)).save(tmp_path / "vae-seed0-nearest.png")
    (album,) = read_albums(pictures_in(tmp_path), ["gan", "vae"], [])
    assert (album.name, album.samples, album.nearest[0].width, album.nearest[0].height) == ("vae", [], 3, 2)


def test_a_thousand_records_with_pictures_fit_into_five_megabytes(tmp_path: Path) -> None:
    runs = many_runs()
    draw_grids(tmp_path / "grids", runs)
    assert len(runs) == 1000
    assert len(report_html(runs, DIGITS, tmp_path / "grids").encode()) < 5_000_000


def _stored(folder: Path, runs: list[Run]) -> Path:
    store = Store(folder, runs[0].benchmark)
    for run in runs:
        store.write(run)
    return store.folder


def test_the_verb_writes_the_page_and_prints_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _stored(tmp_path, RUNS)
    assert cli.main(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text(encoding="utf-8") == report_html(RUNS, DIGITS)
    assert cli.main(["report", str(folder), "--out", str(tmp_path / "x" / "page.html")]) == 0
    assert (tmp_path / "x" / "page.html").exists()


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="such as results/digits@1"):
        write_report(tmp_path / "digits@1")


def test_a_page_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    page = write_report(_stored(tmp_path, RUNS))
    assert str(tmp_path) not in page.read_text(encoding="utf-8")


def test_the_benchmark_is_found_named_or_made_up() -> None:
    assert find_benchmark(RUNS) == DIGITS
    own = [replace(run, benchmark="mine@7") for run in RUNS]
    made = find_benchmark(own)
    assert (made.id, made.primary, made.n) == ("mine@7", "fd@digits-cnn.pool", 599)
    assert "mine@7" in report_html(own, made)
    with pytest.raises(UsageError, match=r"mine@7, expected, got digits@1"):
        find_benchmark(own, "digits")


def test_records_of_two_protocols_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="unlike protocols"):
        write_report(_stored(tmp_path, [RUNS[0], replace(RUNS[1], protocol="ef" * 32)]))


def test_the_report_does_not_import_torch(tmp_path: Path) -> None:
    folder = _stored(tmp_path, RUNS)
    code = (
        "import sys; from genbench import cli; code = cli.main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "report", str(folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def _luminance(colour: str) -> float:
    """Relative luminance of a colour, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_marks_have_the_contrast_of_wcag_aa(scheme: int) -> None:
    """4.5 for text on every ground that it stands on, 3 for marks."""
    style = (files("genbench.report") / "assets" / "report.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style.split(":root {")[1 + scheme].split("}")[0]))
    texts = [(ink, on) for ink in ("ink", "soft", "accent") for on in ("page", "card", "faint", "best")]
    texts += [("bad", "card"), ("control", "card"), ("warn-ink", "warn")]
    for ink, ground, least in [*((*pair, 4.5) for pair in texts), ("null", "card", 3.0)]:
        bright, dim = sorted((_luminance(colours[ink]), _luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= least, (ink, ground)


def test_the_page_shows_what_its_metrics_see_and_no_other_ones(html: str) -> None:
    found = read_map()
    section = html.partition('<section id="sights"')[2].partition("</section>")[0]
    rows = re.findall(r'<tr><th scope="row">([^<]+)</th>', section)
    assert rows == [line.name for line in found.lines if line.metric == "fd"]
    words = unescape(in_words(section))
    for line in found.of(["fd"]):
        assert sentence(line, severities=found.severities) in words
        for cell in line.cells.values():
            assert cell.text in words
    assert '<a href="#sights">' in html
    style = (files("genbench.report") / "assets" / "report.css").read_text(encoding="utf-8")
    used = {name for names in re.findall(r'<td class="([^"]*)"', section) for name in names.split()}
    assert all(f".sights td.{name} " in style for name in used - {"seen"})


def test_a_page_of_metrics_that_were_not_audited_has_no_such_part() -> None:
    other = replace(RUNS[0], scores=tuple(replace(score, metric="own:metric") for score in RUNS[0].scores))
    assert sights_of(["own", "novel_combinations"]) == []
    page = report_html([other], DIGITS)
    assert 'id="sights"' not in page
    assert "#sights" not in page


def test_every_shade_of_a_sight_is_in_the_style() -> None:
    style = (files("genbench.report") / "assets" / "report.css").read_text(encoding="utf-8")
    for shade in range(1, SHADES + 1):
        assert f".sights td.rises-{shade} " in style
        assert f".sights td.falls-{shade} " in style
