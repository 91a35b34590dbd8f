"""What known corruptions of ten well-separated Gaussians do to the scores, and what they leave alone.

Ten modes in d = 24 at distances of about 20, n = 400 generated and 400 reference samples, and a train and test set of
400. The reference is the training set, as for a generator that was fitted to it.
"""

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from genbench.metrics.class_divergence import kl_class
from genbench.metrics.copying import copy_rate, lower_tail_copies
from genbench.metrics.entropy import entropy_class, entropy_gap_knn
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.metrics.inception import inception_score
from genbench.metrics.kernel import kd
from genbench.metrics.membership import neighbourhood_scores
from genbench.metrics.memorization import label_test
from genbench.metrics.sliced import sliced_w2
from genbench.metrics.transport import wasserstein

MODES, D, N = 10, 24, 400
CENTRES = 3 * np.random.default_rng(0).standard_normal((MODES, D))


def draw(seed, *, shares=None, n=N, std=1.0):
    rng = np.random.default_rng([seed, 7])
    return CENTRES[rng.choice(MODES, n, p=shares)] + std * rng.standard_normal((n, D))


def logits(samples):
    """Log posteriors of the modes but for a constant."""
    return -0.5 * ((samples[:, None] - CENTRES) ** 2).sum(axis=2)


TRAIN, TEST, CLEAN = draw(1), draw(2), draw(3)


def shares(generated, reference=TRAIN):
    found = neighbourhood_scores(Features(generated), Features(reference), ks=(3, 5), seed=0, draws=0)
    return {name: float(values[0]) for name, values in found.items()}


@cache
def null():
    return shares(TEST)


def distance(generated):
    return fd(generated=generated, reference=TRAIN).debiased


@pytest.mark.parametrize("dropped", [2, 5, 8])
def test_dropped_modes_lower_recall_and_coverage_by_their_share_and_entropy_by_its_logarithm(dropped):
    """Ratios to the null of 1 - j/10, within .08; class entropy log(10 - j) and divergence log(10/(10 - j)).

    The entropy of 400 is known to .06. A reference of 4,000 knows each share to 4.7%, the mean logarithm of two to
    .034: 4 of those are .14.
    """
    kept = np.where(np.arange(MODES) < MODES - dropped, 1 / (MODES - dropped), 0.0)
    generated = draw(4, shares=kept)
    found = shares(generated)
    for name in ("recall", "coverage"):
        assert found[name] / null()[name] == pytest.approx(1 - dropped / MODES, abs=0.08)
    assert entropy_class(generated=logits(generated)).debiased == pytest.approx(math.log(MODES - dropped), abs=0.06)
    divergence = kl_class(generated=logits(generated), reference=logits(draw(9, n=4000))).debiased
    assert divergence == pytest.approx(math.log(MODES / (MODES - dropped)), abs=0.14)


def test_foreign_samples_lower_precision_by_their_share_and_raise_the_distance_faster_than_it():
    """Foreign samples, far out, have precision 0: the fall is share times the null's, within 4 binomial deviations.

    The mean's share alone grows with the square: twice the share is at least twice the distance.
    """
    distances = []
    for share in (0.0, 0.1, 0.2, 0.4):
        generated = CLEAN.copy()
        generated[: round(share * N)] = 12 + np.random.default_rng(5).standard_normal((round(share * N), D))
        expected = (1 - share) * shares(CLEAN)["precision"]
        assert shares(generated)["precision"] == pytest.approx(expected, abs=4 * (0.25 / N) ** 0.5)
        distances.append(distance(generated))
    assert distances[2] > 2 * distances[1] > 0
    assert distances[3] > 2 * distances[2]


def test_copies_of_the_training_set_move_the_tests_of_memorization_and_no_other_score():
    """Of 400 samples 200 are exact copies of distinct training rows. Fréchet and kernel distance, Inception Score
    keep their intervals around the truth (each misses by chance in one of 20 draws; the seed is
    fixed); coverage and the others do not fall. The label test has p < 1e-6."""
    generated = CLEAN.copy()
    generated[:200] = TRAIN[:200]
    for metric in (fd, kd):
        estimate = metric(generated=generated, reference=TEST)
        assert estimate.low <= 0 <= estimate.high
    score = inception_score(generated=logits(generated))
    assert score.low <= MODES <= score.high
    assert all(abs(value - null()[name]) < 0.1 for name, value in shares(generated, TEST).items() if name != "density")
    sets = {"generated": generated, "train": TRAIN, "test": TEST}
    for test in (label_test, lower_tail_copies, copy_rate):
        assert test(**sets).extra["p_value"] < 1e-6
        assert test(**{**sets, "generated": CLEAN}).extra["p_value"] > 0.001


def test_shrinking_trades_recall_for_precision_and_is_no_copying():
    found = [shares(CENTRES[labels()] + scale * within()) for scale in (1.0, 0.8, 0.6, 0.4)]
    recalls, precisions = ([one[name] for one in found] for name in ("recall", "precision"))
    assert recalls == sorted(recalls, reverse=True)
    assert precisions == sorted(precisions)
    assert recalls[-1] < 0.3 < 0.9 < precisions[-1]
    sets = {"train": TRAIN, "test": TEST}
    for scale in (0.8, 0.6, 0.4):
        assert label_test(generated=CENTRES[labels()] + scale * within(), **sets).extra["z"] < 2


def labels():
    return np.random.default_rng([3, 7]).choice(MODES, N)


def within():
    """The clean samples without their centres."""
    rng = np.random.default_rng([3, 7])
    rng.choice(MODES, N)
    return rng.standard_normal((N, D))


def test_noise_lowers_precision_and_raises_entropy_by_the_closed_form():
    """One Gaussian N(0, S) with S = diag(1, .5, .25), plus noise of variance s^2: .5 log det(I + s^2 S^-1).

    n = 1,000: within 4 jackknife errors (8e-4 a case) and the bias of k = 5, which mostly cancels, .05.
    """
    variances = np.array([1.0, 0.5, 0.25])
    rng = np.random.default_rng(0)
    reference, clean, noise = (rng.standard_normal((1000, 3)) for _ in range(3))
    precisions = []
    for s in (0.5, 1.0, 2.0):
        noisy = clean * variances**0.5 + s * noise
        estimate = entropy_gap_knn(generated=noisy, reference=reference * variances**0.5)
        truth = 0.5 * np.log1p(s**2 / variances).sum()
        assert abs(estimate.value - truth) < 4 * estimate.std_error + 0.05
        precisions.append(shares(noisy, reference * variances**0.5)["precision"])
    assert precisions == sorted(precisions, reverse=True)


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_a_shift_adds_its_square_to_three_squared_distances(size):
    """FD and W2^2 gain |v|^2 and d SW2^2 its mean over lines, on the shifted reference itself: exactly, and over 1,000
    lines within 5 deviations of sqrt(2/1000)."""
    shift = np.zeros(D)
    shift[3] = size
    moved = TRAIN[:150] + shift
    assert fd(generated=moved, reference=TRAIN[:150]).value == pytest.approx(size**2, rel=1e-9)
    assert wasserstein(generated=moved, reference=TRAIN[:150], p=2).value == pytest.approx(size, rel=1e-9)
    sliced = D * sliced_w2(generated=moved, reference=TRAIN[:150], rng=0).value ** 2
    assert sliced == pytest.approx(size**2, rel=5 * (2 / 1000) ** 0.5)


def test_an_imbalance_is_measured_as_it_is():
    """One mode three times as frequent: the divergence from even shares within its interval, and p below .001."""
    uneven = np.where(np.arange(MODES) == 0, 3.0, 1.0) / (MODES + 2)
    estimate = kl_class(generated=logits(draw(8, shares=uneven)), reference=logits(draw(9, n=4000)))
    assert estimate.low <= float((uneven * np.log(uneven * MODES)).sum()) <= estimate.high
    assert estimate.extra["p_value"] < 0.001


SEVERITIES = (0.0, 0.2, 0.4, 0.8)
LADDERS = {
    "mode drop": lambda s: np.where(labels()[:, None] < MODES * (1 - s), CLEAN, CENTRES[0] + within()),
    "noise": lambda s: CLEAN + 3 * s * np.random.default_rng(11).standard_normal((N, D)),
    "foreign": lambda s: np.where(np.arange(N)[:, None] < s * N, 12.0, CLEAN),
    "shrink": lambda s: CENTRES[labels()] + (1 - s) * within(),
}


@pytest.mark.parametrize("ladder", LADDERS)
def test_the_frechet_distance_climbs_every_ladder(ladder):
    found = [fd(generated=LADDERS[ladder](s), reference=TRAIN).value for s in SEVERITIES]
    assert stats.spearmanr(SEVERITIES[1:], found[1:]).statistic == pytest.approx(1.0)
    assert found[-1] > found[0]
