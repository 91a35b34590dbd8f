import math

import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.gaussian_kl import kl_gaussian, log_determinant_bias
from genbench.stats.jackknife import deletions


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def closed_form(mean, cov, other_mean, other_cov):
    """KL by torch's own formula."""
    ours, theirs = (
        torch.distributions.MultivariateNormal(torch.as_tensor(m), torch.as_tensor(c))
        for m, c in ((mean, cov), (other_mean, other_cov))
    )
    return float(torch.distributions.kl_divergence(ours, theirs))


def of_moments(generated, reference):
    return closed_form(
        generated.mean(axis=0), np.cov(generated, rowvar=False), reference.mean(axis=0), np.cov(reference, rowvar=False)
    )


def test_value_is_the_closed_form_of_the_moments():
    generated, reference = 0.7 * normal(50, 3, 1) + 0.2, normal(80, 3, 2) @ normal(3, 3, 3)
    estimate = kl_gaussian(generated=generated, reference=reference)
    assert estimate.value == pytest.approx(of_moments(generated, reference), rel=1e-9)


def test_replicates_are_those_of_the_kept_samples():
    generated, reference = 0.7 * normal(50, 3, 1) + 100, normal(80, 3, 2) + 100
    direct = [of_moments(generated[a], reference[b]) for a, b in deletions(50, 80)]
    assert kl_gaussian(generated=generated, reference=reference).replicates == pytest.approx(direct, rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.7, 0.5)])
def test_interval_covers_and_the_debiased_value_is_unbiased(scale, shift):
    """d = 5, n = 100, 100 pairs: at 95%, fewer than 90 (.90) covered have probability .01; the seeds are fixed.

    The corrections are exact, so that the mean lies within 4 standard errors (6e-5); the plug-in's does not.
    """
    d, found = 5, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        generated = scale * rng.standard_normal((100, d))
        generated[:, 0] += shift
        found.append(kl_gaussian(generated=generated, reference=rng.standard_normal((100, d))))
    truth = 0.5 * (d * scale**2 + shift**2 - d) - d * math.log(scale)
    debiased, values = (np.array([getattr(e, name) for e in found]) for name in ("debiased", "value"))
    error = debiased.std(ddof=1) / 100**0.5
    assert abs(debiased.mean() - truth) < 4 * error
    assert values.mean() - truth > 4 * error
    assert sum(e.low <= truth <= e.high for e in found) >= 90


def test_log_determinant_bias_is_that_of_simulated_covariances():
    """d = 3, 10 degrees, 4,000 draws: within 4 standard errors."""
    draws = np.random.default_rng(0).standard_normal((4000, 11, 3))
    centred = draws - draws.mean(axis=1, keepdims=True)
    logs = np.linalg.slogdet(np.einsum("rni,rnj->rij", centred, centred) / 10)[1]
    assert abs(logs.mean() - log_determinant_bias(3, 10)) < 4 * logs.std(ddof=1) / 4000**0.5


def test_common_affine_maps_change_nothing_and_the_direction_matters():
    generated, reference, linear = normal(60, 3, 1), 2 * normal(70, 3, 2), normal(3, 3, 3)
    plain = kl_gaussian(generated=generated, reference=reference)
    moved = kl_gaussian(generated=generated @ linear + 7, reference=reference @ linear + 7)
    assert moved.value == pytest.approx(plain.value, rel=1e-8)
    assert moved.debiased == pytest.approx(plain.debiased, rel=1e-7, abs=1e-9)
    assert kl_gaussian(generated=reference, reference=generated).value > 1.5 * plain.value


def test_identical_sets_have_none_and_order_does_not_matter():
    x = normal(40, 3)
    assert kl_gaussian(generated=x, reference=x).value == pytest.approx(0.0, abs=1e-12)
    shuffled = np.random.default_rng(1).permutation(x)
    y = normal(50, 3, 2)
    assert kl_gaussian(generated=shuffled, reference=y).value == pytest.approx(
        kl_gaussian(generated=x, reference=y).value, rel=1e-10
    )


def test_columns_constant_in_both_sets_are_left_out_with_a_note():
    x, y = normal(40, 2, 1), normal(50, 2, 2)
    padded = kl_gaussian(generated=np.insert(x, 1, 3.0, axis=1), reference=np.insert(y, 1, 3.0, axis=1))
    plain = kl_gaussian(generated=x, reference=y)
    assert padded.value == pytest.approx(plain.value, rel=1e-10)
    assert "1 columns hold one and the same number" in padded.notes[0]
    assert plain.notes == ()


@pytest.mark.parametrize("other", [3.5, None])
def test_columns_constant_in_one_set_or_at_another_number_are_infinitely_far(other):
    x = np.insert(normal(40, 2, 1), 1, 3.0, axis=1)
    y = normal(50, 3, 2) if other is None else np.insert(normal(50, 2, 2), 1, other, axis=1)
    with pytest.raises(SampleError, match="infinite"):
        kl_gaussian(generated=x, reference=y)


def test_dependent_columns_are_refused_as_a_whole_and_scored_in_the_leading_components():
    thin = normal(60, 2, 1) @ normal(2, 4, 3)
    with pytest.raises(SampleError, match=r"generated features .* rank 2"):
        kl_gaussian(generated=thin, reference=normal(60, 4, 2))
    estimate = kl_gaussian(generated=thin, reference=normal(60, 4, 2), dims=2)
    assert math.isfinite(estimate.value)
    assert estimate.extra["dimensions"] == 2.0


def test_leading_components_give_a_lower_bound():
    generated, reference = 0.5 * normal(200, 6, 1), normal(200, 6, 2)
    fewer = kl_gaussian(generated=generated, reference=reference, dims=3).value
    assert 0 < fewer < kl_gaussian(generated=generated, reference=reference, dims=None).value


@pytest.mark.parametrize(("n", "m"), [(4, 50), (50, 5), (1, 50), (50, 1)])
def test_too_few_samples_are_refused(n, m):
    with pytest.raises(SampleError, match="at least 5 generated and 6 reference"):
        kl_gaussian(generated=normal(n, 3, 1), reference=normal(m, 3, 2))


def test_barely_enough_samples_give_a_value_without_interval():
    estimate = kl_gaussian(generated=normal(11, 9, 1), reference=normal(12, 9, 2))
    assert math.isfinite(estimate.debiased)
    assert estimate.std_error is None


def test_one_point_twice_and_unlike_widths_are_refused():
    with pytest.raises(SampleError, match="one and the same point"):
        kl_gaussian(generated=np.ones((9, 2)), reference=np.ones((9, 2)))
    with pytest.raises(SampleError, match="equal width"):
        kl_gaussian(generated=normal(9, 2), reference=normal(9, 3))
