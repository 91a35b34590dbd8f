"""Benchmarks are checked before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.benchmarks import benchmark_names, load_benchmark, restrict, with_metrics
from genbench.definitions import protocol_hash
from genbench.errors import DeclarationError, GenbenchError, UnknownNameError, UsageError
from genbench.registry import BASELINES, METRICS

RIGHT = """
name = "mine"
version = 2
dataset = "ring8"
n = 100
seeds = [0]
checkpoints = 1
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
"w2@identity.pool" = { n = 50 }
"precision@identity.pool" = { k = 4 }
[baselines.gan]
steps = 10
batch = 8
options = { lr = 0.001 }
[quick]
n = 50
[quick.baselines.gan]
steps = 5
"""


def written(tmp_path: Path, text: str) -> str:
    """Write a benchmark file and return its path."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", benchmark_names())
@pytest.mark.parametrize("quick", [False, True])
def test_every_shipped_benchmark_loads_and_its_options_exist(name: str, quick: bool) -> None:
    benchmark = load_benchmark(name, quick=quick)
    assert benchmark.id == f"{name}@1" + ("-quick" if quick else "")
    for spec in benchmark.metrics:
        METRICS.load(spec.metric).check_options(spec.options)
    for baseline, budget in benchmark.baselines.items():
        BASELINES.load(budget.baseline or baseline)(**budget.options)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    benchmark = load_benchmark(written(tmp_path, RIGHT))
    assert (benchmark.id, benchmark.n) == ("mine@2", 100)
    assert [(s.key, s.n, dict(s.options)) for s in benchmark.metrics] == [
        ("fd@identity.pool", None, {}),
        ("w2@identity.pool", 50, {}),
        ("precision@identity.pool", None, {"k": 4}),
    ]
    assert benchmark.baselines["gan"].options == {"lr": 0.001}


def test_quick_changes_only_what_it_names(tmp_path: Path) -> None:
    benchmark = load_benchmark(written(tmp_path, RIGHT), quick=True)
    gan = benchmark.baselines["gan"]
    assert (benchmark.id, benchmark.n, gan.steps, gan.batch) == ("mine@2-quick", 50, 5, 8)


def test_options_can_stand_in_the_key_and_tell_two_forms_apart(tmp_path: Path) -> None:
    text = RIGHT.replace('"w2@identity.pool" = { n = 50 }', '"precision:k=7,n=60@identity.pool" = {}')
    benchmark = load_benchmark(written(tmp_path, text))
    form = benchmark.metrics[1]
    assert (form.metric, form.label, form.n, dict(form.options)) == ("precision", "precision:k=7,n=60", 60, {"k": 7})
    assert form.key == "precision:k=7,n=60@identity.pool"


def test_values_of_options_are_numbers_words_or_truth_values() -> None:
    benchmark = with_metrics(load_benchmark("ring8"), ["fd:mode=analytic,x=1.5,y=true@identity.pool"])
    assert benchmark.metrics[-1].options == {"mode": "analytic", "x": 1.5, "y": True}


def test_a_module_can_stand_in_the_key_with_and_without_options() -> None:
    plain, optioned = with_metrics(load_benchmark("ring8"), ["my:M@identity.pool", "my:M:k=2@identity.pool"]).metrics[
        -2:
    ]
    assert (plain.metric, dict(plain.options)) == ("my:M", {})
    assert (optioned.metric, dict(optioned.options)) == ("my:M", {"k": 2})


@pytest.mark.parametrize("key", ["fd:mode=@identity.pool", "fd:=3@identity.pool", "fd:n=0@identity.pool", "fd@", "fd"])
def test_malformed_keys_are_refused(key: str) -> None:
    with pytest.raises(GenbenchError) as caught:
        with_metrics(load_benchmark("ring8"), [key])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"fd@identity.pool" = {}', '"fdd@identity.pool" = {}', "unknown metric in"),
        ('"w2@identity.pool"', '"w22@identity.pool"', "Did you mean 'w2'"),
        ('"w2@identity.pool"', '"w2@identty.pool"', "Did you mean 'identity'"),
        ('"w2@identity.pool"', '"w2"', "metric@extractor.layer"),
        ('"ring8"', '"ring"', "Did you mean 'ring8'"),
        ("[baselines.gan]", "[baselines.gann]", "Did you mean 'gan'"),
        ("n = 100", "n = 0", "n must be at least 1"),
        ("steps = 10", "steps = 0", r"gan.steps must be at least 1"),
        ("version = 2", 'version = "two"', "wrong type"),
        ("n = 100\n", "", "the key 'n' is missing"),
        ("checkpoints", "chekpoints", "Did you mean 'checkpoints'"),
        ("seeds = [0]", "seeds = [0", "not TOML"),
        ("seeds = [0]", "seeds = 0", "wrong type"),
        ("seeds = [0]\n", "", "the key 'seeds' is missing"),
        ("[quick]", "[extractors.identty]\ndims = 3\n[quick]", "Did you mean 'identity'"),
        ("n = 100", "n = 100\nextractors = 3", "wrong type"),
        ("n = 100", "n = 100\nextractors = { identity = 3 }", "wrong type"),
        ("n = 100", 'n = 100\ndata = "images"', "wrong type"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in RIGHT
    with pytest.raises(GenbenchError, match=said) as caught:
        load_benchmark(written(tmp_path, RIGHT.replace(old, new)))
    assert caught.value.exit_code == 2


def test_names_that_do_not_exist_get_advice() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'digits'"):
        load_benchmark("digit")
    with pytest.raises(UsageError, match="has version 1"):
        load_benchmark("digits@7")
    with pytest.raises(UsageError, match="cannot be read"):
        load_benchmark("nowhere.toml")


def test_a_benchmark_without_a_quick_table_has_no_quick_form(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \[quick\] table"):
        load_benchmark(written(tmp_path, RIGHT[: RIGHT.index("[quick]")]), quick=True)


TABLES = """
[data]
path = "images"
held_out = 0.2
[extractors.identity]
dims = 3
[extractors."my.module:Net"]
weights = "w.pt"
"""


def test_options_of_data_and_extractors_stand_in_tables_of_their_own(tmp_path: Path) -> None:
    benchmark = load_benchmark(written(tmp_path, RIGHT + TABLES))
    assert benchmark.data == {"path": "images", "held_out": 0.2}
    assert benchmark.extractors == {"identity": {"dims": 3}, "my.module:Net": {"weights": "w.pt"}}
    plain = load_benchmark(written(tmp_path, RIGHT))
    assert (plain.data, plain.extractors) == ({}, {})


def test_the_quick_form_may_change_them(tmp_path: Path) -> None:
    text = RIGHT + TABLES + "[quick.data]\nheld_out = 0.5\n[quick.extractors.identity]\ndims = 2\n"
    quick = load_benchmark(written(tmp_path, text), quick=True)
    assert quick.data == {"path": "images", "held_out": 0.5}
    assert quick.extractors["identity"] == {"dims": 2}


def test_they_are_part_of_the_protocol_only_through_fingerprints(tmp_path: Path) -> None:
    plain, optioned = (load_benchmark(written(tmp_path, text)) for text in (RIGHT, RIGHT + TABLES))
    assert protocol_hash(plain, dataset="a") == protocol_hash(optioned, dataset="a")
    assert protocol_hash(plain, dataset="a") != protocol_hash(plain, dataset="b")


def test_without_baselines_nothing_is_trained(tmp_path: Path) -> None:
    start, end = RIGHT.index("[baselines.gan]"), RIGHT.index("[quick]")
    text = (RIGHT[:start] + RIGHT[end : RIGHT.index("[quick.baselines")]).replace("seeds = [0]\ncheckpoints = 1\n", "")
    for form in (text, text + "[baselines]\n"):
        benchmark = load_benchmark(written(tmp_path, form))
        assert (dict(benchmark.baselines), benchmark.seeds, benchmark.checkpoints) == ({}, (), 1)
        assert load_benchmark(written(tmp_path, form), quick=True).n == 50


def test_restricting_keeps_only_what_is_named() -> None:
    benchmark = restrict(load_benchmark("digits"), seeds=(7,), baselines=("vae",))
    assert (benchmark.seeds, list(benchmark.baselines)) == ((7,), ["vae"])
    with pytest.raises(UnknownNameError, match="Did you mean 'vae'"):
        restrict(benchmark, baselines=("vea",))


def test_the_quick_form_may_train_only_some_models(tmp_path):
    text = """
name = "t"
version = 1
dataset = "ring8"
n = 10
seeds = [0]
checkpoints = 1
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
[baselines]
gan = { steps = 9, batch = 2 }
vae = { steps = 9, batch = 2 }
"""
    path = tmp_path / "t.toml"
    path.write_text(text + '[quick]\nmodels = ["vae"]\n[quick.baselines.vae]\nsteps = 3\n')
    assert set(load_benchmark(str(path)).baselines) == {"gan", "vae"}
    assert {name: b.steps for name, b in load_benchmark(str(path), quick=True).baselines.items()} == {"vae": 3}
    path.write_text(text + '[quick]\nmodels = ["vea"]\n')
    with pytest.raises(UnknownNameError, match="Did you mean 'vae'"):
        load_benchmark(str(path), quick=True)


def test_a_log_schedule_doubles_the_updates_between_scores(tmp_path):
    text = """
name = "t"
version = 1
dataset = "ring8"
n = 10
seeds = [0]
checkpoints = 4
schedule = "log"
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
[baselines]
gan = { steps = 1000, batch = 2 }
vae = { steps = 2, batch = 2 }
"""
    path = tmp_path / "t.toml"
    path.write_text(text)
    found = load_benchmark(str(path))
    assert found.evaluation_steps("gan") == (125, 250, 500, 1000)
    assert found.evaluation_steps("vae") == (1, 2)
    even = tmp_path / "even.toml"
    even.write_text(text.replace('"log"', '"even"'))
    assert load_benchmark(str(even)).evaluation_steps("gan") == (250, 500, 750, 1000)
    assert protocol_hash(found) == protocol_hash(load_benchmark(str(even)))
    path.write_text(text.replace('"log"', '"sqrt"'))
    with pytest.raises(DeclarationError, match="schedule 'even' or 'log' expected, got 'sqrt'"):
        load_benchmark(str(path))
