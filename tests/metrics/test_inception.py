import numpy as np
import pytest
from scipy.special import digamma, entr

from genbench.errors import SampleError
from genbench.metrics.inception import inception_score
from genbench.stats.jackknife import standard_error


def dirichlet_logits(n, alpha, seed):
    return np.log(np.random.default_rng(seed).dirichlet(alpha, size=n).clip(1e-300))


def dirichlet_log_score(alpha):
    """log IS = H(E p) - E H(p), with E H(p) = psi(a0 + 1) - sum q psi(a + 1) under a Dirichlet."""
    q = alpha / alpha.sum()
    return entr(q).sum() - (digamma(alpha.sum() + 1) - (q * digamma(alpha + 1)).sum())


def test_sure_and_balanced_answers_score_the_number_of_classes():
    assert inception_score(generated=np.eye(10).repeat(5, axis=0) * 1e4).value == pytest.approx(10.0, rel=1e-12)


@pytest.mark.parametrize("logits", [np.tile([50.0, 0.0, 0.0], (20, 1)), np.zeros((20, 3))])
def test_one_class_or_no_opinion_scores_one(logits):
    assert inception_score(generated=logits).value == pytest.approx(1.0, abs=1e-12)


def test_value_stays_between_one_and_the_number_of_classes():
    for seed in range(20):
        logits = np.random.default_rng(seed).standard_normal((7, 4)) * 10.0 ** (seed % 5 - 2)
        assert 1.0 <= inception_score(generated=logits).value <= 4.0


def test_agrees_with_torch_fidelity():
    import torch
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = np.random.default_rng(0).standard_normal((503, 12)) * 4
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=1, shuffle=False)
    assert inception_score(generated=logits).value == pytest.approx(theirs["inception_score_mean"], rel=1e-12)


def test_order_of_samples_does_not_matter():
    logits = np.eye(5).repeat(40, axis=0) * 5
    shuffled = np.random.default_rng(0).permutation(logits)
    assert inception_score(generated=shuffled).value == pytest.approx(
        inception_score(generated=logits).value, rel=1e-12
    )


def test_debiased_value_hits_the_exact_truth():
    """Dirichlet answers of 100 classes, n = 2,000: within 4 standard errors (6e-5 false failures)."""
    alpha = np.full(100, 0.05)
    logits = dirichlet_logits(2000, alpha, 0)
    truth = dirichlet_log_score(alpha)
    estimate = inception_score(generated=logits)
    error = estimate.std_error / estimate.best
    assert abs(np.log(estimate.debiased) - truth) < 4 * error


def test_correction_is_of_the_right_size():
    """20 classes, n = 100, 200 draws: the mean log is within 4 standard errors of the truth (6e-5 false failures).

    Without the correction, or with twice it, it is off by more than 10 of them.
    """
    alpha = np.full(20, 0.1)
    truth = dirichlet_log_score(alpha)
    found = [inception_score(generated=dirichlet_logits(100, alpha, seed)) for seed in range(200)]
    corrected, plain = (np.log([getattr(e, name) for e in found]) for name in ("debiased", "value"))
    error = corrected.std(ddof=1) / 200**0.5
    assert abs(corrected.mean() - truth) < 4 * error
    assert truth - plain.mean() > 10 * error


@pytest.mark.parametrize(
    ("alpha", "n"),
    [
        pytest.param(np.linspace(0.05, 0.4, 10), 400, id="C=10"),
        pytest.param(np.full(100, 0.05), 2000, id="C=100", marks=pytest.mark.slow),
    ],
)
def test_interval_covers_the_exact_truth(alpha, n):
    """Nominal 95% of 200; 179 or fewer have probability 7e-4. Measured .96 and .935 to .95."""
    truth = np.exp(dirichlet_log_score(alpha))
    found = [inception_score(generated=dirichlet_logits(n, alpha, seed)) for seed in range(200)]
    assert sum(e.low <= truth <= e.high for e in found) >= 180


def test_closed_form_error_agrees_with_the_jackknife():
    """The jackknife error with 19 degrees has a deviation of 1/sqrt(38) = 16%: 0.5 to 1.6 is beyond 3 of them."""
    estimate = inception_score(generated=dirichlet_logits(1000, np.full(10, 0.2), 3))
    assert 0.5 < standard_error(estimate.replicates) / estimate.std_error < 1.6


def test_replicates_are_the_scores_of_the_kept_samples():
    from genbench.stats.jackknife import deletions

    logits = dirichlet_logits(100, np.full(6, 0.3), 4)
    direct = [inception_score(generated=logits[keep]).value for (keep,) in deletions(100)]
    assert inception_score(generated=logits).replicates == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_of_rows_change_nothing(monkeypatch, rows):
    """Sums of 100 numbers in another order: 100 * 2^-53 is 1e-14."""
    logits = dirichlet_logits(100, np.full(6, 0.3), 4)
    whole = inception_score(generated=logits)
    monkeypatch.setattr("genbench.metrics.inception._block_rows", lambda _: rows)
    parts = inception_score(generated=logits)
    for name in ("value", "debiased", "std_error", "replicates"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-12)


def test_a_class_that_nobody_is_given_changes_nothing():
    """Its logit of -1e6 is a probability of exactly 0, of which there is no logarithm; sums are in another order."""
    logits = dirichlet_logits(60, np.full(4, 0.5), 1)
    plain, more = (inception_score(generated=x) for x in (logits, np.hstack([logits, np.full((60, 1), -1e6)])))
    for name in ("value", "debiased", "std_error", "replicates"):
        assert getattr(more, name) == pytest.approx(getattr(plain, name), rel=1e-12)


def test_extreme_logits_stay_finite():
    estimate = inception_score(generated=np.array([[1e30, -1e30], [-1e30, 1e30], [0.0, 0.0]]))
    assert np.isfinite([estimate.value, estimate.debiased]).all()


@pytest.mark.parametrize("shape", [(1, 10), (10, 1)])
def test_too_few_samples_or_classes_are_refused(shape):
    with pytest.raises(SampleError, match="is: "):
        inception_score(generated=np.zeros(shape))


def test_many_logits_in_float32_score_what_they_do_in_float64(monkeypatch):
    """A probability is rounded by some 2^-24 = 6e-8 of itself, at random: over 2,000 rows by 2e-9; ten times that.

    A single row is rounded by 1e-7 of its logits, which the error, a deviation of such rows, feels.
    """
    logits = dirichlet_logits(2000, np.full(50, 0.1), 5)
    exact = inception_score(generated=logits)
    monkeypatch.setattr("genbench.metrics.inception.WIDE", 1)
    monkeypatch.setattr("genbench.metrics.inception._block_rows", lambda _: 100)
    quick = inception_score(generated=logits)
    for name, tolerance in (("value", 2e-8), ("debiased", 2e-8), ("std_error", 1e-6), ("replicates", 2e-8)):
        assert getattr(quick, name) == pytest.approx(getattr(exact, name), rel=tolerance)
    assert quick.value != exact.value
