"""The contract tests of `genbench.testing` find the flaws that they are there for, and say what is wrong.

That sound parts pass is shown by those of genbench (tests/contract) and by the skeletons (tests/test_new.py).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import genbench
from genbench.errors import GenbenchError
from genbench.testing import BaselineContract, DatasetContract, ExtractorContract, MetricContract, SamplerContract
from genbench.testing.parts import chosen_parts

FLAWS = [
    (MetricContract, "UNDOCUMENTED", "the_declaration_is_complete", "no section 'Parameters'"),
    (MetricContract, "UNSEEDED", "the_same_seed_gives_the_same_score", "scored twice with seed 0"),
    (MetricContract, "BACKWARDS", "better_points_the_right_way", "declared better='higher', but real data score"),
    (MetricContract, "SWAPPED", "the_score_follows_the_samples", "one and the same score"),
    (MetricContract, "ORDERED", "the_order_of_samples_changes_nothing", "when the generated samples changed places"),
    (MetricContract, "WRITING", "inputs_are_not_written_to", "wrote to its input 'generated'"),
    (MetricContract, "NAN_AT_ONE", "too_little_is_an_error_in_words", "one sample: the score is nan"),
    (MetricContract, "CRASHING", "too_little_is_an_error_in_words", "one sample: ValueError"),
    (BaselineContract, "GRADIENT", "a_step_returns_its_losses", "loss: still has its gradient"),
    (BaselineContract, "OUTSIDE", "the_seed_decides_the_training", "trained twice from one seed"),
    (BaselineContract, "FORGETFUL", "a_training_resumed_is_the_same_training", "took another path; state_dict must"),
    (BaselineContract, "SHARING", "a_sampler_is_a_snapshot", "since training went on"),
    (BaselineContract, "DISTURBED", "a_sampler_is_a_snapshot", "because it was sampled from"),
    (BaselineContract, "BRIGHT", "samples_are_what_was_asked_for", r"beyond \[-1, 1\]"),
    (BaselineContract, "DEAF", "samples_are_what_was_asked_for", "two seeds gave one set"),
    (BaselineContract, "Mutable", "the_recipe_is_a_frozen_dataclass", "Mutable is not frozen"),
    (BaselineContract, "Choosy", "a_step_returns_its_losses", "none of the shapes .* is accepted"),
    (DatasetContract, "double", "the_splits_are_images_or_vectors", "train, float64 .* vectors must be float32"),
    (DatasetContract, "unequal", "loaded_again_it_is_the_same", "loaded twice, the data differ"),
    (DatasetContract, "leaking", "no_sample_is_in_both_splits", "7 samples are in both splits"),
    (DatasetContract, "misnumbered", "labels_number_the_classes", "train labels: int64 expected, got int32"),
    (DatasetContract, "mistaken", "a_known_density_is_that_of_the_data", "are both splits drawn from the density"),
    (DatasetContract, "swallowing", "a_misspelt_option_is_refused", "no_such_option=1 was taken without a word"),
    (SamplerContract, "Global", "the_seed_decides", "one seed gave two sets of samples"),
    (SamplerContract, "Fixed", "the_seed_decides", "two seeds gave one set of samples"),
    (SamplerContract, "Reseeding", "global_generators_stay_as_they_were", "moved torch's own generator"),
    (SamplerContract, "Same", "samples_differ_from_each_other", "all of 64 samples are the same"),
    (SamplerContract, "Grey", "samples_are_what_was_asked_for", "images must be uint8"),
    (ExtractorContract, "Normalizing", "a_row_depends_on_its_sample_alone", "when samples come in batches of 7"),
    (ExtractorContract, "Careless", "samples_of_another_shape_are_refused", "without a word"),
    (ExtractorContract, "Renamed", "made_again_it_is_the_same", "with two fingerprints"),
    (ExtractorContract, "Narrow", "layers_are_tables_of_the_declared_width", "pool: .* expected, got"),
]

SOUND = [
    (MetricContract, "SOUND"),
    (BaselineContract, "Bell"),
    (SamplerContract, "Normal"),
    (ExtractorContract, "Pixels"),
]


def hold(contract: Any, part: str, test: str, tmp_path: Path) -> None:
    """Hold a part to one sentence of its contract, as pytest would."""
    name = f"tests.contract.broken:{part}"
    held = type("Held", (contract,), {"part": name})()
    if contract is MetricContract:
        given: dict[str, Any] = {"case": held.staged(name), "what": "one sample"}
    elif contract is BaselineContract:
        recipe = genbench.registry.BASELINES.load(name)()
        given = {"recipe": recipe, "tmp_path": tmp_path}
        if test not in ("test_the_recipe_is_a_frozen_dataclass", "test_an_unknown_option_is_refused"):
            given["datasets"] = held.accepted(recipe)
    elif contract is DatasetContract:
        given = {"name": name, "dataset": held.loaded(name)}
    elif contract is SamplerContract:
        given = {"sampler": held.made(name), "n": 7}
    else:
        given = {"named": name, "ready": held.accepted(name)}
    method = getattr(held, test)
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    method(**{name: given[name] for name in names})


@pytest.mark.parametrize(
    ("contract", "part", "test", "message"), FLAWS, ids=[f"{part}-{test}" for _, part, test, _ in FLAWS]
)
def test_a_flaw_is_found_and_named(contract: Any, part: str, test: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        hold(contract, part, f"test_{test}", tmp_path)


@pytest.mark.parametrize(("contract", "part"), SOUND, ids=[part for _, part in SOUND])
def test_what_they_were_made_from_is_sound(contract: Any, part: str, tmp_path: Path) -> None:
    """So that each flaw is the only one."""
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) >= 4
    for index, test in enumerate(tests):
        (tmp_path / str(index)).mkdir()
        hold(contract, part, test, tmp_path / str(index))


def test_every_sentence_of_a_contract_has_a_flaw_that_it_finds() -> None:
    """But for those whose flaw is found by others too, or cannot be made without breaking Python itself."""
    contracts = (MetricContract, BaselineContract, DatasetContract, SamplerContract, ExtractorContract)
    known = {(contract, f"test_{test}") for contract, _, test, _ in FLAWS}
    every = {(contract, name) for contract in contracts for name in dir(contract) if name.startswith("test_")}
    assert {name for _, name in every - known} == {
        "test_an_estimate_is_in_order",
        "test_an_unknown_option_is_refused",
        "test_it_has_a_name",
    }


def test_parts_are_chosen_by_kind_and_name() -> None:
    chosen = chosen_parts(["metric:fd", "metric:pkg.mod:ATTR", "dataset:digits"])
    assert chosen["metric"] == ["fd", "pkg.mod:ATTR"]
    assert chosen["dataset"] == ["digits"]
    assert chosen["baseline"] == []


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (["fd"], "KIND:NAME expected, as metric:package:ATTRIBUTE, got 'fd'"),
        (["mertic:fd"], "unknown kind of part 'mertic'. Did you mean 'metric'"),
    ],
)
def test_a_wrong_choice_is_refused(named: list[str], message: str) -> None:
    with pytest.raises(GenbenchError, match=re.escape(message)):
        chosen_parts(named)


def pytest_of(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest as a user does, elsewhere."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments]
    root = str(Path(genbench.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_command_holds_what_it_is_told_to(tmp_path: Path) -> None:
    done = pytest_of("--pyargs", "genbench.testing", "--genbench-part", "dataset:ring8", "-rA", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    tests = [name for name in dir(DatasetContract) if name.startswith("test_")]
    assert f"{len(tests)} passed" in done.stdout
    assert "skipped" not in done.stdout
    assert all(f"{name}[ring8]" in done.stdout for name in tests)


def test_the_command_refuses_a_misspelt_kind_in_a_sentence(tmp_path: Path) -> None:
    done = pytest_of("--pyargs", "genbench.testing", "--genbench-part", "mertic:fd", folder=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: genbench: unknown kind of part 'mertic'. Did you mean 'metric'?" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_nothing_else_imports_it() -> None:
    """It needs pytest, which only tests do."""
    package = Path(genbench.__file__).parent
    for path in package.rglob("*.py"):
        if path.parent.name != "testing":
            imports = re.findall(r"^\s*(?:from|import) (genbench\.testing\S*)", path.read_text(), flags=re.MULTILINE)
            assert not imports, path
