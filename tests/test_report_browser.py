"""The report in a browser: it sorts by mouse and keyboard, asks nobody for anything, and fits a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genbench.benchmarks import load_benchmark
from genbench.records import Run
from genbench.report import report_html
from tests.chromium import Chromium, find_chromium
from tests.makers import make_estimate, make_run, make_score
from tests.many_records import draw_grids, many_runs

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="needs a Chromium (chromium, chromium-browser or google-chrome) on the PATH"
)

NAMES = "Array.from(document.querySelectorAll('.board tbody th'), t => t.firstChild.textContent.trim())"
SORTED = (
    "Array.from(document.querySelectorAll('.board th[aria-sort]'), t => [t.cellIndex, t.getAttribute('aria-sort')])"
)


def small_runs() -> list[Run]:
    """Three models of which b is best by fd, c by precision, one whose precision failed, and two controls."""
    numbers = {"a": (3.0, 0.5), "b": (1.0, 0.4), "c": (2.0, 0.9), "d": (4.0, None)}
    runs = [
        make_run(name, seed, scores=_scores(fd + seed / 100, precision))
        for name, (fd, precision) in numbers.items()
        for seed in (0, 1)
    ]
    runs += [replace(run, step=3000, final=False) for run in runs]
    controls = {"real": (0.1, 0.99), "replay": (9.0, 0.1)}
    return runs + [
        make_run(name, None, scores=_scores(*both), recipe={"control": "?"}) for name, both in controls.items()
    ]


def _scores(fd: float, precision: float | None) -> tuple[Any, ...]:
    estimate = None if precision is None else make_estimate(precision, debiased=None)
    return (make_score(fd), make_score(metric="precision", better="higher", unit="share", estimate=estimate))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert PROGRAM is not None
    found = Chromium(PROGRAM, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A page of a few records with pictures, and one of a thousand."""
    folder, found = tmp_path_factory.mktemp("pages"), {}
    for name, runs in (("small", small_runs()), ("big", many_runs())):
        grids = folder / f"grids-{name}"
        draw_grids(grids, runs)
        page: Path = folder / f"{name}.html"
        page.write_text(report_html(runs, load_benchmark("digits"), grids), encoding="utf-8")
        found[name] = page.as_uri()
    return found


@pytest.fixture
def small(browser: Chromium, addresses: dict[str, str]) -> Chromium:
    browser.look(width=1200)
    browser.open(addresses["small"])
    return browser


def button(head: str) -> str:
    """An expression for the button of a column of the leaderboard."""
    return f"Array.from(document.querySelectorAll('.board th button')).find(b => b.textContent.startsWith('{head}'))"


def test_the_page_starts_in_the_order_of_ranks(small: Chromium) -> None:
    assert small.evaluate(NAMES)[:3] == ["b", "c", "a"]
    assert small.evaluate(SORTED) == [[1, "ascending"]]


def test_a_click_sorts_by_the_metrics_own_direction_and_a_second_one_turns_it_round(small: Chromium) -> None:
    small.click(button("precision"))
    assert small.evaluate(NAMES) == ["c", "a", "b", "d", "real", "replay"]
    assert small.evaluate(SORTED) == [[3, "descending"]]
    small.click(button("precision"))
    assert small.evaluate(NAMES) == ["b", "a", "c", "d", "replay", "real"]  # what is missing stays last
    assert small.evaluate(SORTED) == [[3, "ascending"]]
    small.click(button("fd"))
    assert small.evaluate(NAMES) == ["b", "c", "a", "d", "real", "replay"]
    assert small.evaluate(SORTED) == [[2, "ascending"]]


@pytest.mark.parametrize(("key", "code"), [("Enter", 13), (" ", 32)])
def test_the_keyboard_sorts_too_and_a_screen_reader_is_told(small: Chromium, key: str, code: int) -> None:
    small.evaluate(f"{button('precision')}.focus()")
    small.press(key, code)
    assert small.evaluate(NAMES)[:4] == ["c", "a", "b", "d"]
    assert small.evaluate(SORTED) == [[3, "descending"]]
    assert small.evaluate("document.getElementById('said').textContent") == "Sorted by precision ↑, descending."


def test_tab_reaches_the_skip_link_first(small: Chromium) -> None:
    small.press("Tab", 9)
    assert small.evaluate("document.activeElement.className") == "skip"


def test_nothing_is_asked_for_but_the_page_and_what_it_holds(small: Chromium, addresses: dict[str, str]) -> None:
    small.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert small.evaluate("document.images.length") > 8
    assert small.evaluate(
        "Promise.all(Array.from(document.images, i => { i.loading = 'eager'; return i.decode(); })).then(() => true)"
    )
    asked = small.requests()
    assert asked.count(addresses["small"]) == 1
    assert [a[:40] for a in asked if a != addresses["small"] and not a.startswith("data:image/png;base64,")] == []
    assert small.complaints() == []


def test_the_policy_stops_what_it_does_not_name(small: Chromium) -> None:
    """That no request left would mean little if one could: scripts, styles and pictures put in are refused."""
    broken = small.evaluate(
        """new Promise(done => {
          const seen = new Set();
          document.addEventListener('securitypolicyviolation', e => {
            seen.add(e.effectiveDirective);
            if (seen.size === 4) done(Array.from(seen).sort());
          });
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          const style = document.createElement('style');
          style.textContent = 'body { display: none }';
          document.body.append(script, style);
          new Image().src = 'https://example.invalid/x.png';
          fetch('https://example.invalid/').catch(() => {});
        })"""
    )
    assert broken == ["connect-src", "img-src", "script-src-elem", "style-src-elem"]
    assert small.evaluate("window.ran === undefined")


def test_choosing_a_metric_shows_it_alone(small: Chromium) -> None:
    shown = "Array.from(document.querySelectorAll('[data-of=plots]')).filter(p => !p.hidden).map(p => p.dataset.key)"
    assert small.evaluate(shown) == ["fd@digits-cnn.pool"]
    small.evaluate(
        "(s => { s.value = 'precision@digits-cnn.pool'; s.dispatchEvent(new Event('change')) })"
        "(document.getElementById('choose-plots'))"
    )
    assert small.evaluate(shown) == ["precision@digits-cnn.pool"]


@pytest.mark.parametrize("page", ["small", "big"])
def test_a_phone_scrolls_tables_and_not_the_page(browser: Chromium, addresses: dict[str, str], page: str) -> None:
    browser.look(width=390, height=844)
    browser.open(addresses[page])
    assert browser.evaluate("innerWidth") == 390
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_dark_and_light_are_unlike(small: Chromium) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = small.evaluate(colour)
    small.look(width=1200, dark=True)
    assert small.evaluate(colour) != light


def test_a_thousand_records_sort_at_once(browser: Chromium, addresses: dict[str, str]) -> None:
    """Half a second is promised; the quickest of five sorts, with its layout, takes some milliseconds."""
    browser.look(width=1200)
    browser.open(addresses["big"])
    times = browser.evaluate(
        f"""Array.from({{length: 5}}, () => {{
          const before = performance.now();
          {button("fd")}.click();
          document.body.getBoundingClientRect();
          return performance.now() - before;
        }})"""
    )
    assert min(times) < 500
    assert browser.complaints() == []
