import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.metrics.feature_moments import feature_moments
from genbench.metrics.features import Features
from genbench.metrics.moments import MomentSums, Statistics
from genbench.stats.jackknife import deletions, values_alone


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("fold", [7, 100, 8192])
def test_sums_give_the_moments_of_all_and_without_each_group(offset, fold, monkeypatch):
    """About a mean of the first rows: an offset of 1e6 costs the digits that the rows lack, 1e6 eps."""
    monkeypatch.setattr("genbench.metrics.moments.FOLD", fold)
    x = normal(230, 5, 4) + offset
    sums = feature_moments(Features(x), 20)
    allowed = 1e-12 + 100 * offset * np.finfo(float).eps
    for found, rows in [(sums.moments(), x), *((sums.without(g), x[k]) for g, (k,) in enumerate(deletions(230)))]:
        assert found.n == len(rows)
        assert np.allclose(found.mean, rows.mean(axis=0), rtol=1e-14, atol=1e-13)
        assert np.allclose(found.covariance, np.cov(rows, rowvar=False), rtol=0, atol=allowed)


def test_sums_are_kept_for_as_many_groups_as_are_asked_for_and_remembered():
    x = Features(normal(100, 3))
    assert feature_moments(x, 20) is feature_moments(x, 20)
    assert feature_moments(x, 0).groups == 0
    assert np.allclose(
        feature_moments(x, 0).moments().covariance, feature_moments(x, 20).moments().covariance, atol=1e-14
    )


def test_rows_that_are_missing_are_missed():
    sums = MomentSums(10, 3, 0)
    sums.add(torch.zeros(9, 3))
    with pytest.raises(SampleError, match="10 rows expected, got 9"):
        sums.moments()


def test_rows_that_are_not_finite_are_refused_as_they_come():
    with pytest.raises(SampleError, match="1 of 2 rows are not finite"):
        MomentSums(10, 3, 0).add(torch.tensor([[0.0, 0.0, 0.0], [0.0, torch.nan, 0.0]]))


def test_statistics_of_fewer_than_two_samples_are_refused():
    with pytest.raises(SampleError, match="at least 2 samples expected, got n = 1"):
        Statistics(1, np.zeros(2), np.eye(2))


@pytest.mark.parametrize("kept", ["in float64", "in float32", "no sums"])
def test_moves_of_inner_products_are_those_of_the_covariances(kept, monkeypatch):
    """Sums of 11 or 12 rows in float32 are off by a few of its units of 6e-8; 1e-5 of the largest move is allowed.

    Two tiles of a triangle and a part, and rows in their own order, about a mean that is not that of all.
    """
    d, allowed = 150, {"in float64": 2**28, "in float32": 2 * 20 * 150**2, "no sums": 0}[kept]
    monkeypatch.setattr("genbench.metrics.feature_moments.KEPT_BYTES", allowed)
    x = normal(230, d, 6) + np.arange(230)[:, None] / 200
    matrix = torch.from_numpy(normal(d, d, 7)).float()
    matrix += matrix.T.clone()
    sums = feature_moments(Features(x), 20)
    whole = np.cov(x, rowvar=False)
    found, expected = np.array(sums.moves(matrix)), []
    for group, (keep,) in enumerate(deletions(230)):
        expected.append((matrix.double().numpy() * (np.cov(x[keep], rowvar=False) - whole)).sum())
        assert np.allclose(sums.means()[group], x[keep].mean(axis=0), rtol=1e-13)
        assert np.allclose(sums.without(group).covariance, np.cov(x[keep], rowvar=False), atol=1e-12)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_sums_of_wide_features_are_kept_for_intervals_alone(monkeypatch):
    """And the value is the same to the last bit."""
    d = 40
    monkeypatch.setattr("genbench.metrics.feature_moments.KEPT_BYTES", 2 * 20 * d**2)
    x = normal(230, d)
    ours, theirs = Features(x), Features(x)
    kept = feature_moments(ours, 20)
    whole = kept.moments()
    with values_alone():
        bare = feature_moments(theirs, 20)
        assert torch.equal(bare.moments().covariance, whole.covariance)
    matrix = torch.eye(d)
    monkeypatch.setattr(type(kept), "rows", None)  # which only those read that kept nothing
    assert len(kept.moves(matrix)) == 20
    with pytest.raises(TypeError):
        bare.moves(matrix)
