import numpy as np
import pytest

from genbench.errors import SampleError
from genbench.stats.half_sampling import halves, interval, standard_error


@pytest.mark.parametrize("n", [2, 7, 100])
def test_every_half_has_half_the_samples(n):
    members = halves(n, seed=0)
    assert members.shape == (50, n)
    assert (members.sum(axis=1) == n // 2).all()


def test_same_seed_same_halves_and_another_seed_others():
    assert (halves(100, seed=1) == halves(100, seed=1)).all()
    assert (halves(100, seed=1) != halves(100, seed=2)).any()


def test_standard_error_of_a_mean_is_the_textbook_one():
    """Over halves, Var(mean) = s^2/n exactly; with 2,000 draws the deviation is known to 1/sqrt(4000) = 1.6%.

    Five of those: false failure 6e-7.
    """
    x = np.random.default_rng(0).standard_normal(200)
    scores = np.array([x[members].mean() for members in halves(200, seed=3, draws=2000)])
    assert standard_error(scores) == pytest.approx(x.std(ddof=1) / np.sqrt(200), rel=0.08)


def test_interval_stays_in_the_range_of_the_score():
    assert interval(0.99, 0.1, highest=1.0) == (pytest.approx(0.99 - 0.196, abs=1e-4), 1.0)
    assert interval(0.01, 0.1)[0] == 0.0


def test_a_single_sample_is_refused():
    with pytest.raises(SampleError, match="at least 2"):
        halves(1, seed=0)
