import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.kernel import kd
from genbench.metrics.kernel_subsets import kd_subsets


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize(
    ("n", "m", "subsets", "size"),
    [(150, 150, 30, 100), (150, 220, 30, 100), (900, 700, 5, 40)],
    ids=["one sweep", "one sweep, unequal n", "one by one"],
)
def test_agrees_with_torch_fidelity_on_the_same_seed(n, m, subsets, size):
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = normal(n, 6, 1) + 0.2, normal(m, 6, 2)
    theirs = kid_features_to_metric(
        torch.from_numpy(x),
        torch.from_numpy(y),
        kid_subsets=subsets,
        kid_subset_size=size,
        rng_seed=2020,
        verbose=False,
    )
    ours = kd_subsets(generated=x, reference=y, rng=2020, subsets=subsets, subset_size=size)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-10)
    assert ours.extra["subset_std"] == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-8)


def test_same_seed_same_subsets_and_another_seed_others():
    x, y = normal(60, 3, 1), normal(70, 3, 2)
    found = [kd_subsets(generated=x, reference=y, rng=rng, subset_size=50).value for rng in (1, 1, 2, 1 + 2**32)]
    assert found[0] == found[1] == found[3]
    assert found[0] != found[2]


def test_has_the_target_of_kd_and_no_interval():
    """Every pair is in equally many subsets on average: 400 of them come within 5 errors of their mean (6e-7)."""
    x, y = normal(120, 4, 1) + 0.4, normal(120, 4, 2)
    estimate = kd_subsets(generated=x, reference=y, rng=0, subsets=400, subset_size=60)
    whole = kd(generated=x, reference=y)
    assert abs(estimate.value - whole.value) < 5 * estimate.extra["subset_std"] / 20
    assert estimate.std_error is None
    assert "not a standard error" in estimate.notes[0]


def test_deviation_of_subsets_follows_their_size_not_n():
    """Four times the samples halve the standard error and leave the deviation of subsets, within 40%."""
    few, many = ((normal(n, 4, 1) + 0.4, normal(n, 4, 2)) for n in (400, 1600))
    deviations = [
        kd_subsets(generated=x, reference=y, rng=0, subset_size=100).extra["subset_std"] for x, y in (few, many)
    ]
    errors = [kd(generated=x, reference=y).std_error for x, y in (few, many)]
    assert deviations[1] / deviations[0] == pytest.approx(1, abs=0.4)
    assert errors[1] / errors[0] == pytest.approx(0.5, abs=0.15)


def test_a_set_smaller_than_a_subset_is_refused_not_clamped():
    with pytest.raises(SampleError, match=r"kd_subsets: .*\[2, 64\].* got 100 of 1000; lower subset_size"):
        kd_subsets(generated=normal(64, 3), reference=normal(2000, 3), rng=0)


@pytest.mark.parametrize("options", [{"subsets": 0}, {"subset_size": 1}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(SampleError, match="kd_subsets: subsets >= 1"):
        kd_subsets(generated=normal(64, 3), reference=normal(64, 3, 1), rng=0, **options)


def test_unlike_widths_are_refused():
    with pytest.raises(SampleError, match=r"kd_subsets: .* equal width"):
        kd_subsets(generated=normal(10, 3), reference=normal(10, 4), rng=0, subset_size=5)
