"""Records survive the way to JSON and back, and tell what they are."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

from genbench.definitions import Dataset, Mixture, protocol_hash
from genbench.errors import ProtocolError, SampleError
from genbench.records import Run
from tests.makers import make_benchmark, make_estimate, make_run, make_score

SCHEMA = json.loads((files("genbench") / "schema" / "run-1.json").read_text())


@pytest.mark.parametrize(
    "run",
    [
        make_run(),
        make_run(seed=None, sampler="mine"),
        make_run(scores=(), failure="diverged"),
        make_run(scores=(make_score(estimate=None), make_score(split=None))),
        make_run(scores=(make_score(estimate=make_estimate(0.1 + 0.2, debiased=None, low=None, high=None)),)),
    ],
)
def test_a_run_survives_json_unchanged_and_fits_the_schema(run: Run) -> None:
    text = run.to_json()
    assert Run.from_json(text) == run
    jsonschema.validate(json.loads(text), SCHEMA, cls=jsonschema.Draft202012Validator)


def test_numpy_numbers_become_plain_ones() -> None:
    run = make_run(scores=(make_score(estimate=make_estimate(np.float64(1.5))),))
    assert Run.from_json(run.to_json()) == run


def test_a_number_that_is_not_finite_is_refused_by_json() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        make_run(scores=(make_score(estimate=make_estimate(math.nan)),)).to_json()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1}', "null", pytest.param("[" * 100_000, id="deep")],
)
def test_what_is_no_record_is_refused_by_name(text: str) -> None:
    with pytest.raises(ProtocolError, match="record"):
        Run.from_json(text)


def test_records_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make_run().sampler = "other"  # type: ignore[misc]


def test_the_full_name_of_a_score_holds_the_extractors_fingerprint() -> None:
    assert make_score().name == "fd@digits-cnn#abababababab.pool"
    assert make_score().key == "fd@digits-cnn.pool"


def test_best_is_the_debiased_value_where_there_is_one() -> None:
    assert make_estimate(1.0).best == 0.75
    assert make_estimate(1.0, debiased=None).best == 1.0


def test_the_datasets_fingerprint_follows_its_content() -> None:
    train, test = np.zeros((3, 2), np.float32), np.ones((2, 2), np.float32)
    one = Dataset(name="a", train=train, test=test)
    assert one.fingerprint == Dataset(name="b", train=train.copy(), test=test).fingerprint
    assert one.fingerprint != Dataset(name="a", train=train, test=test + 1).fingerprint
    assert one.fingerprint != Dataset(name="a", train=train.reshape(1, 6), test=test).fingerprint
    assert one.event_shape == (2,)


def test_mixture_log_prob_of_one_component_is_the_gaussian_density() -> None:
    mixture = Mixture(centres=np.array([[1.0, -2.0]]), std=0.5)
    x = np.array([[1.0, -2.0], [2.0, -2.0]])
    expected = -math.log(2 * math.pi * 0.25) - np.array([0.0, 2.0])
    np.testing.assert_allclose(mixture.log_prob(x), expected, rtol=1e-14)


def test_mixture_log_prob_refuses_points_of_another_width() -> None:
    with pytest.raises(SampleError, match=r"\(n, 2\) expected, got \(5, 1\)"):
        Mixture(centres=np.zeros((3, 2)), std=1.0).log_prob(np.zeros((5, 1)))


def test_the_protocol_depends_on_what_decides_numbers_and_on_nothing_else() -> None:
    benchmark = make_benchmark()
    base = protocol_hash(benchmark, dataset="x")
    assert protocol_hash(replace(benchmark, seeds=(5,), baselines={}, summary="s"), dataset="x") == base
    assert protocol_hash(replace(benchmark, n=201), dataset="x") != base
    assert protocol_hash(replace(benchmark, metrics=benchmark.metrics[:1]), dataset="x") != base
    assert protocol_hash(benchmark, dataset="y") != base


def test_evaluation_steps_are_even_and_end_at_the_budget() -> None:
    assert make_benchmark(checkpoints=4).evaluation_steps("gan") == (10, 20, 30, 40)
    assert make_benchmark(checkpoints=100).evaluation_steps("wgan-gp")[-1] == 12
