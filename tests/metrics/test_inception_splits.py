import numpy as np
import pytest
import torch
from scipy.special import digamma, entr

from genbench.errors import SampleError
from genbench.metrics.inception import inception_score
from genbench.metrics.inception_splits import inception_score_splits


def dirichlet_logits(n, alpha, seed):
    return np.log(np.random.default_rng(seed).dirichlet(alpha, size=n).clip(1e-300))


@pytest.mark.parametrize("splits", [1, 10])
@pytest.mark.parametrize("shuffle", [True, False])
def test_agrees_with_torch_fidelity(splits, shuffle):
    from torch_fidelity.metric_isc import isc_features_to_metric

    logits = np.random.default_rng(0).standard_normal((503, 12)) * 4
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=splits, shuffle=shuffle, rng_seed=2020)
    ours = inception_score_splits(generated=logits, rng=2020, splits=splits, shuffle=shuffle)
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert ours.extra["split_std"] == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


def test_one_split_is_the_score_of_all():
    logits = dirichlet_logits(200, np.full(6, 0.3), 4)
    whole = inception_score(generated=logits).value
    assert inception_score_splits(generated=logits, rng=0, splits=1).value == pytest.approx(whole, rel=1e-12)


def test_sorted_samples_score_low_unless_shuffled():
    logits = np.eye(5).repeat(40, axis=0) * 5
    in_order = inception_score_splits(generated=logits, rng=0, splits=5, shuffle=False).value
    assert in_order == pytest.approx(1.0, abs=1e-9)
    assert inception_score_splits(generated=logits, rng=0, splits=5).value > 1.5


def test_seed_chooses_the_order():
    logits = dirichlet_logits(200, np.full(6, 0.3), 4)
    found = [inception_score_splits(generated=logits, rng=rng).value for rng in (1, 1, 2, 1 + 2**32)]
    assert found[0] == found[1] == found[3]
    assert found[0] != found[2]


def test_published_interval_misses_the_truth_that_the_corrected_one_covers():
    """Dirichlet(.02), C = 100, n = 2,000: "mean +- 1.96 split deviations" covers 5% or less, the closed form 93%.

    Of 40, 10 or more at 5% have probability 2e-5; 30 or fewer at 93%, 3e-4. The splits lose 7.7%; the mean of 40 scores
    of 1.3% each is within 1% by 4.9 deviations.
    """
    alpha = np.full(100, 0.02)
    q = alpha / alpha.sum()
    truth = np.exp(entr(q).sum() - (digamma(alpha.sum() + 1) - (q * digamma(alpha + 1)).sum()))
    found = [dirichlet_logits(2000, alpha, seed) for seed in range(40)]
    splits = [inception_score_splits(generated=logits, rng=2020) for logits in found]
    whole = [inception_score(generated=logits) for logits in found]
    assert sum(abs(e.value - truth) <= 1.96 * e.extra["split_std"] for e in splits) < 10
    assert sum(e.low <= truth <= e.high for e in whole) > 30
    assert np.mean([e.value for e in splits]) / truth - 1 == pytest.approx(-0.077, abs=0.01)


def test_sells_no_interval_and_says_why():
    estimate = inception_score_splits(generated=dirichlet_logits(50, np.ones(3), 0), rng=0)
    assert estimate.std_error is None
    assert estimate.debiased is None
    assert "not a standard error" in estimate.notes[0]


@pytest.mark.parametrize(
    ("shape", "splits"), [((5, 3), 6), ((5, 3), 0), ((20, 1), 10)], ids=["few", "none", "one class"]
)
def test_impossible_splits_are_refused(shape, splits):
    with pytest.raises(SampleError, match="is_splits: "):
        inception_score_splits(generated=np.zeros(shape), rng=0, splits=splits)
