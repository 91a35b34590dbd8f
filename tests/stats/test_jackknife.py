from functools import partial

import numpy as np
import pytest
from scipy import stats

from genbench.errors import SampleError
from genbench.stats.jackknife import (
    GROUPS,
    debias,
    deletions,
    group_count,
    group_labels,
    half_width,
    jackknife_estimate,
    standard_error,
    values_alone,
)


def replicates_of(statistic, x):
    return [statistic(x[keep]) for (keep,) in deletions(len(x))]


def test_groups_are_even_and_depend_on_the_size_alone():
    labels = group_labels(599)
    counts = np.bincount(labels, minlength=GROUPS)
    assert counts.max() - counts.min() <= 1
    assert (labels == group_labels(599)).all()
    assert (labels[:598] != group_labels(598)).any()


def test_groups_are_no_consecutive_blocks():
    """Sorted samples would else lose a whole class with a group."""
    assert np.unique(group_labels(400)[:100]).size > GROUPS // 2


def test_every_sample_is_left_out_once_and_from_both_sets_at_once():
    kept = list(deletions(100, 40))
    assert len(kept) == GROUPS
    assert (sum((~first).astype(int) for first, _ in kept) == 1).all()
    assert (sum((~second).astype(int) for _, second in kept) == 1).all()


@pytest.mark.parametrize(
    ("sizes", "groups"), [((1000, 50), 20), ((30, 1000), 15), ((10,), 5), ((9, 100), 0), ((1,), 0)]
)
def test_small_sets_get_fewer_groups_or_none(sizes, groups):
    assert group_count(*sizes) == groups
    assert len(list(deletions(*sizes))) == groups


def test_standard_error_of_a_mean_is_that_of_the_group_means():
    """With equal groups, T_-g = (G T - mean_g)/(G - 1), so the jackknife error is sd(mean_g)/sqrt(G), exactly."""
    x = np.random.default_rng(0).standard_normal(400)
    means = np.array([x[group_labels(400) == g].mean() for g in range(GROUPS)])
    replicates = replicates_of(np.mean, x)
    assert standard_error(replicates) == pytest.approx(means.std(ddof=1) / np.sqrt(GROUPS), rel=1e-12)
    assert debias(float(x.mean()), replicates) == pytest.approx(x.mean(), abs=1e-14)


def test_bias_of_order_one_over_n_is_removed_exactly():
    """The statistic a + b/n has nothing but that bias: G (a + b/n) - (G - 1)(a + b/(n - n/G)) = a."""
    x = np.zeros(400)
    assert debias(3.0 + 5.0 / 400, replicates_of(lambda part: 3.0 + 5.0 / len(part), x)) == pytest.approx(
        3.0, abs=1e-12
    )


def test_interval_of_a_mean_covers_at_its_level():
    """400 intervals at 95% cover Binomial(400, 0.95); outside 358..396 with probability 7e-5 in all."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        x = rng.exponential(size=200)
        estimate = jackknife_estimate(float(x.mean()), replicates_of(np.mean, x), sizes=(200,))
        covered += estimate.low <= 1.0 <= estimate.high
    assert 358 <= covered <= 396


def test_interval_is_students():
    replicates = [0.0, 1.0, 2.0, 3.0]
    assert half_width(replicates) == pytest.approx(stats.t.ppf(0.975, 3) * standard_error(replicates), rel=1e-12)


def test_no_replicates_give_no_interval_and_a_note():
    estimate = jackknife_estimate(1.0, [], sizes=(4, 100))
    assert estimate.low is None
    assert estimate.std_error is None
    assert "4 samples" in estimate.notes[-1]


def test_interval_is_around_the_best_value_with_the_spread_of_its_replicates():
    estimate = jackknife_estimate(1.0, [1.0, 1.1], sizes=(10,), debiased=0.5, spread=[0.0, 1.0])
    assert (estimate.low + estimate.high) / 2 == pytest.approx(0.5)
    assert estimate.std_error == pytest.approx(0.5)
    assert estimate.replicates == (1.0, 1.1)


def test_one_replicate_is_refused():
    with pytest.raises(SampleError, match="at least 2"):
        standard_error([1.0])


def test_values_alone_are_the_same_values() -> None:
    """To the last bit: what real data score at this n is computed so."""
    from genbench.metrics.frechet import fd
    from genbench.metrics.transport import wasserstein

    rng = np.random.default_rng(0)
    for n in (60, 700):
        a, b = rng.standard_normal((n, 3)), rng.standard_normal((n, 3)) + 0.5
        for metric in (fd, partial(wasserstein, p=1), partial(wasserstein, p=2)):
            whole = metric(generated=a, reference=b)
            with values_alone():
                alone = metric(generated=a, reference=b)
            assert alone.value == whole.value
            assert alone.std_error is None
            assert whole.std_error is not None
