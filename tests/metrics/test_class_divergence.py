import math

import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.metrics.class_divergence import js_class, kl_class, kl_class_reverse

ALL = (kl_class, kl_class_reverse, js_class)


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def draw(p, q, seed, n=300, m=300):
    rng = np.random.default_rng(seed)
    return {
        "generated": one_hot(rng.choice(len(p), n, p=p), len(p)),
        "reference": one_hot(rng.choice(len(q), m, p=q), len(q)),
    }


def truth(compute, p, q):
    middle = (p + q) / 2
    kl = lambda a, b: float((a * np.log(a / b)).sum())  # noqa: E731
    return {
        kl_class: kl(p, q),
        kl_class_reverse: kl(q, p),
        js_class: (kl(p, middle) + kl(q, middle)) / 2,
    }[compute]


def tilted(tilt):
    q = np.full(10, 0.1)
    return q * np.linspace(1 - tilt, 1 + tilt, 10), q


@pytest.mark.parametrize("compute", ALL)
@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.9])
def test_intervals_cover_and_the_debiased_value_is_unbiased(compute, tilt):
    """K = 10, n = m = 300, 200 pairs: at 95%, fewer than 180 covered have probability 7e-4, 6e-3 in all nine cases.

    The mean of the debiased values lies within 4 standard errors (6e-5) and a next order of 3% of the bias, 0.03.
    """
    p, q = tilted(tilt)
    found = [compute(**draw(p, q, seed)) for seed in range(200)]
    true = truth(compute, p, q)
    assert sum(e.low <= true <= e.high for e in found) >= 180
    debiased = np.array([e.debiased for e in found])
    assert abs(debiased.mean() - true) < 4 * debiased.std(ddof=1) / 200**0.5 + 0.03 * 0.03
    if tilt == 0.0:
        values = np.array([e.value for e in found])
        assert abs(values.mean() - found[0].null) < 4 * values.std(ddof=1) / 200**0.5 + 0.03 * 0.03
        assert np.mean([e.extra["p_value"] < 0.05 for e in found]) == pytest.approx(0.05, abs=0.06)


def test_floor_of_a_perfect_generator_against_a_large_reference():
    """1,000 even classes, n = 26,000, a reference 40 times as large: 999/52,000 = 0.0192 and a fortieth of it.

    The plug-in is chi-square with 999 degrees over 2n: its deviation is sqrt(2 * 999)/52,000 = 0.0009, five of which
    are allowed. A reference of exactly even counts adds nothing, so that the floor is 0.0192 alone.
    """
    labels = np.random.default_rng(0).integers(1000, size=26_000)
    even = np.arange(26_000) % 1000
    estimate = kl_class(generated=one_hot(labels, 1000), reference=one_hot(even, 1000))
    assert estimate.value == pytest.approx(999 / 52_000, abs=5 * math.sqrt(2 * 999) / 52_000)
    assert not any("p_value needs" in note for note in estimate.notes)


@pytest.mark.parametrize("compute", ALL)
def test_the_order_of_samples_and_the_names_of_classes_do_not_matter(compute):
    p, q = tilted(0.5)
    sets = draw(p, q, 0)
    plain = compute(**sets)
    rng = np.random.default_rng(1)
    columns = rng.permutation(10)
    moved = compute(**{name: rng.permutation(values)[:, columns] for name, values in sets.items()})
    assert moved.value == pytest.approx(plain.value, rel=1e-12)
    assert moved.debiased == pytest.approx(plain.debiased, rel=1e-12)


@pytest.mark.parametrize("compute", ALL)
def test_samples_repeated_alike_change_the_value_only_by_smoothing(compute):
    sets = draw(*tilted(0.5), 0)
    doubled = {name: np.vstack([values, values]) for name, values in sets.items()}
    tolerance = 0.02 if compute is kl_class_reverse else 1e-12
    assert compute(**doubled).value == pytest.approx(compute(**sets).value, abs=tolerance)


def test_js_is_symmetric_and_the_two_directions_mirror_each_other_but_for_smoothing():
    sets = draw(*tilted(0.5), 0, n=300, m=500)
    swapped = {"generated": sets["reference"], "reference": sets["generated"]}
    assert js_class(**swapped).value == pytest.approx(js_class(**sets).value, rel=1e-12)
    assert js_class(**swapped).debiased == pytest.approx(js_class(**sets).debiased, rel=1e-12)
    assert kl_class_reverse(**swapped).value == pytest.approx(kl_class(**sets).value, abs=0.01)


def test_js_by_hand_and_at_its_limit():
    """Shares (1/2, 1/2) and (1, 0): middle (3/4, 1/4); disjoint ones are log 2 apart with no bias left to correct."""
    half = js_class(generated=one_hot([0, 1] * 50, 2), reference=one_hot([0] * 100, 2))
    by_hand = (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25) + math.log(1 / 0.75)) / 2
    assert half.value == pytest.approx(by_hand)
    apart = js_class(generated=one_hot([1] * 100, 2), reference=one_hot([0] * 100, 2))
    assert apart.value == apart.debiased == pytest.approx(math.log(2))


def test_reverse_by_hand_and_a_missed_class_is_announced():
    """Counts (9, 0) are smoothed to (9.5, 0.5)/10 against even shares; a class that neither set has adds nothing."""
    sets = {"generated": one_hot([0] * 9, 3), "reference": one_hot([0, 1] * 5, 3)}
    estimate = kl_class_reverse(**sets)
    assert estimate.value == pytest.approx(0.5 * math.log(0.5 / 0.95) + 0.5 * math.log(0.5 / 0.05))
    assert estimate.extra["classes_missed"] == 1.0
    assert "1 classes of the reference were not generated" in estimate.notes[1]
    assert "smoothed" in estimate.notes[0]


@pytest.mark.parametrize("compute", ALL)
def test_few_samples_give_a_value_without_interval(compute):
    estimate = compute(generated=one_hot([0], 3), reference=one_hot([1], 3))
    assert math.isfinite(estimate.value)
    assert estimate.std_error is None
    assert any("p_value needs 20" in note for note in estimate.notes)


@pytest.mark.parametrize("compute", ALL)
def test_unlike_widths_and_single_classes_are_refused(compute):
    with pytest.raises(SampleError, match=f"{compute.__name__}: .* equal width"):
        compute(generated=np.eye(3), reference=np.eye(4))
    with pytest.raises(SampleError, match=f"{compute.__name__}: .* 2 classes"):
        compute(generated=np.ones((5, 1)), reference=np.ones((5, 1)))


def test_class_divergence_by_hand():
    """Shares (3/4, 1/4) against (1/2, 1/2): biases (2 - 1)/(2n), and (sum p/q - 1)/(2m) with sum p/q = 2."""
    generated, reference = one_hot([0, 0, 0, 1] * 25, 2), one_hot([0, 1] * 50, 2)
    estimate = kl_class(generated=generated, reference=reference)
    assert estimate.value == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert estimate.null == pytest.approx(0.5 * (1 / 100 + 1 / 100))
    assert estimate.debiased == pytest.approx(estimate.value - 1 / 200 - 1 / 200)


def test_a_class_that_the_reference_lacks_is_smoothed_and_announced():
    """Reference counts (10, 0) become (10.5, 0.5)."""
    estimate = kl_class(generated=one_hot([1] * 10, 2), reference=one_hot([0] * 10, 2))
    assert estimate.value == pytest.approx(math.log(11 / 0.5))
    assert "smoothed" in estimate.notes[0]


def test_class_divergence_is_above_its_bound():
    """Classes never generated cost at least -log of the others' share: exactly that where those are in proportion."""
    generated, reference = one_hot([0, 1] * 50, 4), one_hot([0, 1, 2, 3] * 50, 4)
    estimate = kl_class(generated=generated, reference=reference)
    assert estimate.value == pytest.approx(math.log(2))
    assert estimate.extra["bound"] == pytest.approx(math.log(2))
    assert estimate.extra["classes_seen"] == 2.0
