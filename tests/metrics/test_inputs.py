"""What holds for every metric of this folder, whatever it measures."""

import math

import numpy as np
import pytest
import torch

from genbench.definitions import Mixture
from genbench.registry import METRICS
from tests.metrics.real_sets import Quadrants

DECLARED = [METRICS.load(name) for name, entry in METRICS.entries().items() if entry.provider == "genbench"]
ORDER_MATTERS = {"fd_infinity", "is_splits", "kd_subsets"}
"""Published protocols that cut the samples into parts in the order in which they come."""
FEW = {"kd_subsets": {"subset_size": 50}}
"""Options for metrics whose defaults ask for more samples than are used here."""
KINDS = {
    "float32 array": lambda x: x.astype(np.float32),
    "float64 array": lambda x: x.astype(np.float64),
    "float32 tensor": lambda x: torch.from_numpy(x.astype(np.float32)),
    "integer tensor": lambda x: torch.from_numpy((x * 8).astype(np.int64)),
}


def samples(n, seed):
    """Multiples of 1/8, exact in every type; distinct enough to have neighbours at many distances."""
    return np.round(np.random.default_rng(seed).standard_normal((n, 3)) * 80) / 8


def compute(metric, generated, reference, scale=1.0):
    mixture = Mixture(centres=np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0]]) * scale, std=4.0 * scale)
    offered = {"generated": generated, "reference": reference, "mixture": mixture, "rng": 3, "factors": Quadrants()}
    offered |= {"train": samples(140, 3) * scale, "test": samples(110, 4) * scale, "log_prob": mixture.log_prob}
    options = {**metric.options, **FEW.get(metric.name, {})}
    return metric.compute(**{name: offered[name] for name in metric.needs}, **options)


def test_names_are_those_of_the_registry():
    assert [metric.name for metric in DECLARED] == [n for n, e in METRICS.entries().items() if e.provider == "genbench"]


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_type_of_the_input_do_not_matter(metric):
    """All but the integers are the same numbers; those are 8 times as large and must equal floats that are."""
    generated, reference = samples(120, 1), samples(130, 2)
    plain = compute(metric, generated, reference)
    for kind, convert in KINDS.items():
        if kind == "integer tensor":
            expected = compute(metric, generated * 8, reference * 8, scale=8.0)
            assert compute(metric, convert(generated), convert(reference), scale=8.0) == expected
        else:
            assert compute(metric, convert(generated), convert(reference)) == plain


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_inputs_are_left_as_they_were(metric):
    generated, reference = samples(120, 1), samples(130, 2)
    inputs = torch.from_numpy(generated.copy()), torch.from_numpy(reference.copy())
    compute(metric, *inputs)
    assert (inputs[0].numpy() == generated).all()
    assert (inputs[1].numpy() == reference).all()


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_global_random_state_is_neither_read_nor_moved(metric):
    generated, reference = samples(120, 1), samples(130, 2)
    results = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        results.append(compute(metric, generated, reference))
        assert (torch.get_rng_state() == before[0]).all()
        assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert results[0] == results[1]


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_declared_uncertainty_is_delivered(metric):
    estimate = compute(metric, samples(120, 1), samples(130, 2))
    assert math.isfinite(estimate.value)
    if metric.uncertainty == "none":
        assert estimate.std_error is None
    else:
        assert estimate.std_error >= 0
        assert estimate.low <= estimate.best <= estimate.high
    if metric.uncertainty == "jackknife":
        assert len(estimate.replicates) == 20
    if estimate.debiased is None and metric.uncertainty in ("jackknife", "half-sampling"):
        assert "not corrected" in estimate.notes[0]


UNORDERED = [metric for metric in DECLARED if metric.name not in ORDER_MATTERS]


@pytest.mark.parametrize("metric", UNORDERED, ids=lambda metric: metric.name)
def test_order_of_the_samples_does_not_move_the_value(metric):
    generated, reference = samples(120, 1), samples(130, 2)
    rng = np.random.default_rng(0)
    shuffled = compute(metric, rng.permutation(generated), rng.permutation(reference))
    assert shuffled.value == pytest.approx(compute(metric, generated, reference).value, rel=1e-9, abs=1e-12)
