"""Units: what goes into a model comes out of it unchanged."""

from __future__ import annotations

import numpy as np
import torch

from genbench.training.scaling import Scaling


def test_every_grey_level_survives_the_way_there_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    scaling = Scaling(pixels)
    model = scaling.to_model(torch.from_numpy(pixels))
    assert (model.dtype, model.min().item(), model.max().item()) == (torch.float32, -1.0, 1.0)
    back = scaling.to_data(model)
    assert back.dtype == torch.uint8
    assert torch.equal(back, torch.from_numpy(pixels))


def test_pixels_are_rounded_to_the_nearest_and_kept_in_range():
    scaling = Scaling(np.zeros((1, 1, 1, 1), dtype=np.uint8))
    model = torch.tensor([-7.0, -1.0, 10.4 / 127.5 - 1, 10.6 / 127.5 - 1, 1.0, 7.0]).reshape(6, 1, 1, 1)
    assert scaling.to_data(model).flatten().tolist() == [0, 0, 10, 11, 255, 255]


def test_vectors_are_divided_by_one_deviation_that_keeps_proportions():
    rng = np.random.default_rng(0)
    points = (rng.standard_normal((500, 2)) * [10, 1] + [0, 5]).astype(np.float32)
    scaling = Scaling(points)
    model = scaling.to_model(torch.from_numpy(points))
    # float32: 1,000 values rounded by 2**-24 of themselves
    assert abs(model.numpy().std(dtype=np.float64) - 1) < 1e-6
    np.testing.assert_allclose(model.numpy() * scaling.scale, points, rtol=2e-7)
    np.testing.assert_allclose(scaling.to_data(model).numpy(), points, rtol=2e-7)
    assert scaling.to_data(model).dtype == torch.float32


def test_constant_vectors_keep_their_units():
    scaling = Scaling(np.full((10, 3), 4.0, dtype=np.float32))
    assert scaling.scale == 1.0
    assert torch.equal(scaling.to_model(torch.full((1, 3), 4.0)), torch.full((1, 3), 4.0))
