import math

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.counts import (
    entropy_of_counts,
    grassberger_entropy,
    homogeneity_p_value,
    js_bias,
    js_of_shares,
    kl_of_shares,
    predicted_classes,
)
from genbench.metrics.features import Features


def test_entropy_of_even_counts_is_the_logarithm_of_their_number():
    assert entropy_of_counts(np.array([5, 5, 0, 5])) == pytest.approx(math.log(3))
    assert entropy_of_counts(np.array([7, 0])) == 0.0


def test_divergence_of_shares_by_hand():
    assert kl_of_shares(np.array([1.0, 0.0]), np.array([0.25, 0.75])) == pytest.approx(math.log(4))
    assert kl_of_shares(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == math.inf


def test_grassberger_by_hand():
    """Two single counts: G(1) = psi(1) - (psi(1) - psi(1/2))/2 = -gamma - log 2, so H = log 2 + gamma + log 2."""
    assert grassberger_entropy(np.array([1, 1])) == pytest.approx(2 * math.log(2) + np.euler_gamma)


def test_grassberger_is_nearly_unbiased_where_the_plug_in_is_not():
    """1,000 even classes, n = 2,000: biases -0.285 and -0.002; the deviation of 20 draws' mean is below 0.005."""
    rng = np.random.default_rng(0)
    draws = [np.bincount(rng.integers(1000, size=2000), minlength=1000) for _ in range(20)]
    assert np.mean([entropy_of_counts(c) for c in draws]) - math.log(1000) == pytest.approx(-0.285, abs=0.02)
    assert np.mean([grassberger_entropy(c) for c in draws]) - math.log(1000) == pytest.approx(-0.002, abs=0.02)


def test_homogeneity_agrees_with_scipy():
    a, b = np.array([30, 20, 10]), np.array([50, 60, 40])
    expected = stats.chi2_contingency(np.array([a, b]), lambda_="log-likelihood", correction=False).pvalue
    assert homogeneity_p_value(a, b) == pytest.approx(expected, rel=1e-9)
    assert homogeneity_p_value(np.append(a, 0), np.append(b, 0)) == pytest.approx(expected, rel=1e-9)


def test_one_class_alone_is_no_evidence():
    assert homogeneity_p_value(np.array([9, 0]), np.array([5, 0])) == 1.0


def test_classes_are_the_largest_logits():
    assert predicted_classes("is", Features([[0.0, 1.0], [3.0, -1.0]])).tolist() == [1, 0]
    with pytest.raises(SampleError, match="kl_class: logits of at least 2"):
        predicted_classes("kl_class", Features([[1.0]]))


def test_jensen_shannon_by_hand_and_at_its_limits():
    p, q = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    by_hand = (math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2
    assert js_of_shares(p, q) == js_of_shares(q, p) == pytest.approx(by_hand)
    assert js_of_shares(p, p) == 0.0
    assert js_of_shares(p, p[::-1]) == math.log(2)


def test_bias_of_jensen_shannon_is_the_published_one_for_equal_shares_and_none_for_disjoint_ones():
    assert js_bias(np.full(10, 30), np.full(10, 50)) == pytest.approx(9 / 8 * (1 / 300 + 1 / 500))
    assert js_bias(np.array([5, 5, 0, 0]), np.array([0, 0, 7, 3])) == 0.0
