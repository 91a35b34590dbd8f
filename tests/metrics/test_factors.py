"""Combinations of factors: real figures are read without error, and what no training sample has is counted apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genbench.data.shapes import COMBINATIONS, combination, render, shapes, unseen_combinations
from genbench.errors import SampleError
from genbench.metrics.factors import _covered, novel_combinations


class Table:
    """Events that are the numbers of their combinations; from 4 on they are unseen, a negative one is none."""

    combinations = 10
    unseen = np.arange(4, 10)

    def read(self, values: np.ndarray, *, tolerance: float) -> np.ndarray:
        return values[:, 0].astype(np.int64)


def flat(images: np.ndarray) -> np.ndarray:
    """Images as identity.pool has them."""
    return images.reshape(len(images), -1) / 255


def test_counts_are_those_of_a_table_counted_by_hand() -> None:
    found = novel_combinations(generated=[[0.0], [0], [1], [4], [5], [5], [-1], [-1]], factors=Table())
    assert found.value == 2 / 6
    assert found.null == pytest.approx(1 - 0.9**8)
    assert found.extra["valid"] == 6 / 8
    assert found.extra["seen"] == 2 / 4
    assert found.extra["unseen_share"] == 3 / 6
    assert found.extra["unseen_null"] == 0.6
    assert found.std_error == pytest.approx(math.sqrt(1) / 6)  # of the unseen ones, only the fifth was hit once


def test_held_out_figures_are_read_without_error() -> None:
    data = shapes()
    read = data.factors.read(flat(data.test[:400]), tolerance=1e-6)
    np.testing.assert_array_equal(read, data.test_labels[:400])


def test_every_combination_once_is_full_coverage_and_a_replay_has_none() -> None:
    factors = np.stack(
        [*np.unravel_index(np.arange(COMBINATIONS), (6, 6, 3, 4)), *np.full((2, COMBINATIONS), 4)], axis=1
    )
    seen = ~np.isin(combination(factors), unseen_combinations())
    figures = render(factors)
    everything, replay = (
        novel_combinations(generated=flat(x), factors=shapes().factors) for x in (figures, figures[seen])
    )
    assert (everything.value, everything.extra["seen"], everything.extra["valid"]) == (1.0, 1.0, 1.0)
    assert (replay.value, replay.extra["seen"], replay.extra["unseen_share"]) == (0.0, 1.0, 0.0)
    assert replay.high is not None
    assert 0 < replay.high < 0.05  # nothing seen of 72 still allows two or three


def test_a_faint_figure_is_one_up_to_the_tolerance() -> None:
    """At brightness b the distance is 1 - b of the figure's norm."""
    figure = render(np.array([[4, 2, 1, 3, 2, 5]]))
    faint = flat(np.rint(0.6 * figure).astype(np.uint8))
    for tolerance, valid in ((0.39, 0.0), (0.41, 1.0)):
        found = novel_combinations(generated=faint, factors=shapes().factors, tolerance=tolerance)
        assert found.extra["valid"] == valid


def test_a_black_image_and_noise_are_no_figures() -> None:
    rng = np.random.default_rng(0)
    images = np.concatenate([np.zeros((5, 3, 32, 32)), rng.integers(0, 256, (20, 3, 32, 32))]).astype(np.uint8)
    found = novel_combinations(generated=flat(images), factors=shapes().factors)
    assert (found.value, found.extra["valid"]) == (0.0, 0.0)
    assert found.notes == ("no sample has a combination that can be read",)


def test_the_null_is_the_mean_of_a_generator_that_makes_all_combinations_equally_often() -> None:
    """200 draws of 8: the mean's error is at most .5 sqrt(6) / 6 / sqrt(200) = .015; four of them are 1 in 10^4."""
    rng = np.random.default_rng(0)
    found = [novel_combinations(generated=rng.integers(10, size=(8, 1)), factors=Table()) for _ in range(200)]
    assert np.mean([f.value for f in found]) == pytest.approx(found[0].null, abs=0.06)


@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("even", [True, False])
def test_the_interval_covers_the_expected_coverage(mean: float, even: bool) -> None:
    """At least .95 of cases; 500 of them below .92 have a chance of 1 in 500 where it is exactly that."""
    rng = np.random.default_rng(1)
    means = np.full(72, mean) if even else mean * rng.exponential(size=72)
    target = float((1 - np.exp(-means)).mean())
    intervals = [_covered(rng.poisson(means))[1:3] for _ in range(500)]
    assert np.mean([low <= target <= high for low, high in intervals]) >= 0.92


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -2.0, math.nan])
def test_a_tolerance_out_of_range_is_refused(tolerance: float) -> None:
    with pytest.raises(SampleError, match="tolerance in"):
        novel_combinations(generated=[[1.0]], factors=Table(), tolerance=tolerance)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(SampleError, match="3072 pixel values"):
        novel_combinations(generated=np.zeros((3, 64)), factors=shapes().factors)
