import itertools
import math

import numpy as np
import pytest

from genbench.errors import SampleError, UsageError
from genbench.metrics.class_modes import confusion_corrected_counts, modes_class, modes_class_share


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def confusion(error):
    """A digit is taken for each of the nine others with probability error/9."""
    return np.where(np.eye(10, dtype=bool), 1 - error, error / 9)


def stacked_digits(error, seed=0, modes=98, n=26_000):
    """Counts (10, 10, 10) of predicted triples, where only ``modes`` of the 1,000 were really generated, evenly."""
    rng = np.random.default_rng(seed)
    true = rng.permutation(1000)[:modes][rng.integers(modes, size=n)]
    digits = np.stack(np.unravel_index(true, (10, 10, 10)), axis=1)
    wrong = rng.random(digits.shape) < error
    seen = np.where(wrong, (digits + rng.integers(1, 10, size=digits.shape)) % 10, digits)
    counts = np.zeros((10, 10, 10), dtype=np.int64)
    np.add.at(counts, tuple(seen.T), 1)
    return counts, np.bincount(true, minlength=1000).reshape(10, 10, 10)


def test_classes_are_counted_from_the_least_hits_on():
    samples = one_hot([0] * 5 + [1] * 4 + [3], 6)
    assert modes_class(generated=samples).value == 3.0
    assert modes_class(generated=samples, min_hits=4).value == 2.0
    assert modes_class(generated=samples, min_hits=5).value == 1.0
    assert modes_class(generated=samples).extra == {"one_hit": 3.0, "five_hits": 1.0}


@pytest.mark.parametrize(("error", "counted", "five"), [(0.005, 355, 98), (0.01, 542, 97), (0.02, 704, 151)])
def test_errors_of_the_classifier_make_modes_that_five_hits_undo(error, counted, five):
    """98 true modes of 1,000, 26,000 samples: 355, 542 and 704 counted, which modes are true being the draw's choice.

    A false mode one digit away from t true ones gets n/98 t e/9 hits; the numbers vary with t by some tens.
    """
    counts, _ = stacked_digits(error)
    samples = one_hot(np.repeat(np.arange(1000), counts.ravel()), 1000)
    estimate = modes_class(generated=samples)
    assert estimate.value == pytest.approx(counted, abs=60)
    assert estimate.extra["five_hits"] == pytest.approx(five, abs=20)


def test_share_threshold_is_a_fifth_of_the_references():
    """Reference 50, 30 and 20 of 100, classes 3 and 4 absent; of 50 generated, 5, 3 and 2 are due."""
    reference = one_hot([0] * 50 + [1] * 30 + [2] * 20, 5)
    exact = one_hot([0] * 5 + [1] * 3 + [2] * 2 + [3] * 40, 5)
    assert modes_class_share(generated=exact, reference=reference).value == 3.0
    short = one_hot([0] * 4 + [1] * 2 + [2] * 1 + [3] * 43, 5)
    estimate = modes_class_share(generated=short, reference=reference)
    assert estimate.value == 0.0
    assert estimate.extra["classes"] == 3.0


def test_expected_count_is_the_mean_of_a_generator_with_the_references_shares():
    """40 classes, 60 samples, 300 draws: within 4 standard errors (6e-5)."""
    reference = one_hot(np.repeat(np.arange(40), np.arange(1, 41)), 40)
    shares = np.arange(1, 41) / 820
    rng = np.random.default_rng(0)
    found = [
        modes_class_share(generated=one_hot(rng.choice(40, 60, p=shares), 40), reference=reference) for _ in range(300)
    ]
    values = np.array([e.value for e in found])
    assert abs(values.mean() - found[0].extra["expected"]) < 4 * values.std(ddof=1) / 300**0.5
    assert 20 < found[0].extra["expected"] < 39


def test_order_does_not_matter_and_real_data_reach_every_class():
    rng = np.random.default_rng(0)
    x, y = one_hot(rng.integers(10, size=300), 10), one_hot(rng.integers(10, size=200), 10)
    assert modes_class_share(generated=x, reference=y).value == 10.0
    assert modes_class_share(generated=rng.permutation(x), reference=rng.permutation(y)).value == 10.0
    assert modes_class(generated=x[:1]).value == 1.0


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(SampleError, match="modes_class: min_hits >= 1"):
        modes_class(generated=np.eye(3), min_hits=0)
    with pytest.raises(SampleError, match=r"modes_class: .* 2 classes"):
        modes_class(generated=np.ones((3, 1)))
    with pytest.raises(SampleError, match=r"modes_class_share: .* equal width"):
        modes_class_share(generated=np.eye(3), reference=np.eye(4))


def test_correction_undoes_the_expected_confusion_exactly():
    """Push known counts through the confusion of each digit, by the sum over all triples, and back."""
    matrix = np.random.default_rng(0).dirichlet(np.ones(3), size=3) * 0.2 + 0.8 * np.eye(3)
    true = np.random.default_rng(1).integers(50, size=(3, 3)).astype(float)
    seen = np.zeros((3, 3))
    for a, b, c, d in itertools.product(range(3), repeat=4):
        seen[c, d] += true[a, b] * matrix[a, c] * matrix[b, d]
    assert confusion_corrected_counts(seen, matrix) == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("error", [0.005, 0.02])
def test_correction_restores_the_marginals_of_stacked_digits(error):
    """Marginals of 26,000: an error of 2% moves a digit's count by up to 1%; corrected it is right within noise.

    Corrected counts have the variance of about 2 e n/10 flips, 7 to 14 deviations of which 5 are allowed (6e-7 each).
    """
    counts, true = stacked_digits(error)
    corrected = confusion_corrected_counts(counts, confusion(error))
    assert corrected.sum() == pytest.approx(26_000)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        wrong, right = (table.sum(axis=others) - true.sum(axis=others) for table in (counts, corrected))
        assert np.abs(right).max() < 5 * math.sqrt(2 * error * 2600 * 2)
        if error == 0.02:
            assert (right**2).sum() < (wrong**2).sum()
    never = true == 0
    assert abs(corrected[never].mean()) < 0.1 * counts[never].mean()


@pytest.mark.parametrize(
    ("counts", "matrix", "message"),
    [
        (np.ones(3), np.eye(2), "shapes"),
        (np.ones((2, 3)), np.eye(2), "shapes"),
        (np.ones(2), np.ones((2, 2)), "sum to one"),
        (np.ones(2), np.full((2, 2), 0.5), "inverted"),
        (np.ones(2), np.array([[1.2, -0.2], [0.0, 1.0]]), "sum to one"),
    ],
)
def test_matrices_that_are_no_confusion_are_refused(counts, matrix, message):
    with pytest.raises(UsageError, match=f"confusion_corrected_counts: .*{message}"):
        confusion_corrected_counts(counts, matrix)
