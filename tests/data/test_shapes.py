"""Figures: every image there can be is different and can be read back, and what is held out is held out."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from genbench.data.shapes import (
    COMBINATIONS,
    COUNTS,
    RADIUS,
    UNSEEN_PAIRS,
    combination,
    decode,
    render,
    shapes,
    unseen_combinations,
)
from genbench.errors import SampleError

FIGURES = math.prod(COUNTS)


@cache
def every_mask():
    """The pixels of every figure of one colour, (5832, 1024), and their factors without the colour."""
    factors = np.stack(np.unravel_index(np.arange(FIGURES), COUNTS), axis=1)
    red = factors[factors[:, 1] == 0]
    return (render(red)[:, 0] > 0).reshape(len(red), -1).astype(np.float32), red


def random_factors(n, seed=0):
    return np.random.default_rng(seed).integers(COUNTS, size=(n, 6))


def test_any_two_figures_are_further_apart_than_twice_the_radius():
    """|c1 M1 - c2 M2|² = |c1|² |M1| + |c2|² |M2| - 2 c1·c2 |M1 ∩ M2|, over every pair of masks and of colours.

    With this, an image within the radius of a figure is nearer to it than to any other, so that decoding is exact.
    """
    masks, _ = every_mask()
    sizes = masks.sum(axis=1)
    colours = render(np.array([[2, k, 2, 0, 0, 0] for k in range(6)])).reshape(6, 3, -1).max(axis=2).astype(float)
    least = math.inf
    for start in range(0, len(masks), 486):
        overlap = masks[start : start + 486] @ masks.T
        for i, first in enumerate(colours):
            for j, second in enumerate(colours[: i + 1]):
                squares = (first @ first) * sizes[start : start + 486, None] + (second @ second) * sizes[None, :]
                squares -= 2 * (first @ second) * overlap
                if i == j:
                    squares[np.arange(len(squares)), start + np.arange(len(squares))] = math.inf
                least = min(least, squares.min())
    assert least == 12 * 255**2
    assert 2 * RADIUS < math.sqrt(least) < 2 * RADIUS + 2


def test_decoding_undoes_rendering():
    factors = random_factors(1000)
    found = decode(render(factors))
    np.testing.assert_array_equal(found.factors, factors)
    assert (found.distance == 0).all()
    assert found.valid.all()


def test_every_value_of_every_factor_is_used_by_the_decoder():
    factors = np.stack([np.arange(36) % count for count in COUNTS], axis=1)
    np.testing.assert_array_equal(decode(render(factors)).factors, factors)


def test_noise_within_the_radius_leaves_the_figure_and_its_distance():
    """White noise of deviation 10, clipped to bytes where the figure is at 0 or 255: at most 10 sqrt(3072) = 554 long,
    and about 400 with half of it cut off."""
    factors = random_factors(200, seed=1)
    clean = render(factors).astype(np.int64)
    noise = np.rint(np.random.default_rng(2).normal(scale=10, size=clean.shape)).astype(np.int64)
    noisy = (clean + noise).clip(0, 255)
    found = decode(noisy.astype(np.uint8))
    np.testing.assert_array_equal(found.factors, factors)
    np.testing.assert_allclose(found.distance, np.sqrt(((noisy - clean) ** 2).sum(axis=(1, 2, 3))), rtol=1e-12)
    assert found.valid.all()


def test_the_nearest_figure_is_found_for_any_image():
    """By brute force over all 34,992, in float64: images of noise, where nothing is near."""
    images = np.random.default_rng(3).integers(256, size=(3, 3, 32, 32), dtype=np.uint8)
    found = decode(images)
    masks, red = every_mask()
    colours = render(np.array([[2, k, 2, 0, 0, 0] for k in range(6)])).reshape(6, 3, -1).max(axis=2).astype(float)
    for i, image in enumerate(images.astype(float)):
        maps = (colours**2).sum(axis=1)[:, None] - 2 * colours @ image.reshape(3, -1)
        squares = masks.astype(float) @ maps.T + (image**2).sum()
        mask, colour = np.unravel_index(squares.argmin(), squares.shape)
        assert found.factors[i].tolist() == [red[mask, 0], colour, *red[mask, 2:]]
        assert found.distance[i] == pytest.approx(math.sqrt(squares.min()), rel=1e-12)
    assert not found.valid.any()


def test_the_tolerance_decides_what_counts_as_a_figure():
    images = render(random_factors(4))
    images[0, 0, 0, 0] = images[1, :, 31, 31] = 60
    assert decode(images).valid.tolist() == [True] * 4
    assert decode(images, tolerance=0).valid.tolist() == [False, False, True, True]
    assert decode(images, tolerance=60).valid.tolist() == [True, False, True, True]


def test_an_empty_image_is_no_figure():
    assert not decode(np.zeros((1, 3, 32, 32), np.uint8)).valid[0]


def test_tensors_and_no_images_at_all_can_be_decoded():
    factors = random_factors(3)
    np.testing.assert_array_equal(decode(torch.from_numpy(render(factors))).factors, factors)
    assert decode(np.zeros((0, 3, 32, 32), np.uint8)).factors.shape == (0, 6)


@pytest.mark.parametrize("images", [np.zeros((1, 3, 28, 28), np.uint8), np.zeros((1, 3, 32, 32), np.float32)])
def test_other_images_are_refused(images):
    with pytest.raises(SampleError, match=r"\(n, 3, 32, 32\) expected"):
        decode(images)


@pytest.mark.parametrize("factors", [[[0, 0, 0, 0, 0, 9]], [[-1, 0, 0, 0, 0, 0]], [[0, 0, 0]], [0, 0, 0, 0, 0, 0]])
def test_factors_out_of_range_are_refused(factors):
    with pytest.raises(SampleError, match="factors of shape"):
        render(np.array(factors))


def test_labels_are_the_combinations_that_the_decoder_reads():
    data = shapes()
    for split, labels in ((data.train, data.train_labels), (data.test, data.test_labels)):
        found = decode(split[:1000])
        assert (found.distance == 0).all()
        np.testing.assert_array_equal(combination(found.factors), labels[:1000])


def test_held_out_combinations_are_in_no_training_image_and_in_a_sixth_of_the_test():
    data = shapes()
    unseen = unseen_combinations()
    assert len(unseen) == 72
    assert not np.isin(data.train_labels, unseen).any()
    assert np.isin(data.test_labels, unseen).mean() == 1 / 6


def test_every_seen_combination_is_trained_on_and_all_are_tested_equally_often():
    data = shapes()
    seen = np.setdiff1d(np.arange(COMBINATIONS), unseen_combinations())
    assert np.unique(data.train_labels, return_counts=True)[1].tolist() == [30] * len(seen)
    assert np.unique(data.test_labels, return_counts=True)[1].tolist() == [15] * COMBINATIONS


def test_training_has_every_shape_and_every_colour_of_the_held_out_pairs():
    shape, colour, _, _ = np.unravel_index(np.unique(shapes().train_labels), COUNTS[:4])
    assert {s for s, _ in UNSEEN_PAIRS} <= set(shape.tolist())
    assert {c for _, c in UNSEEN_PAIRS} <= set(colour.tolist())
    assert not set(UNSEEN_PAIRS) & set(zip(shape.tolist(), colour.tolist(), strict=True))


def test_no_image_occurs_twice():
    data = shapes()
    assert len({row.tobytes() for row in [*data.train, *data.test]}) == len(data.train) + len(data.test)


def test_the_images_are_the_published_ones():
    """Scores depend on them: a change here is another dataset."""
    assert shapes() is shapes()
    assert shapes().fingerprint.startswith("e9e30d1d15157383")
