"""Pictures show the samples, pixel for pixel."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image

from genbench.grids import sample_grid


def picture(png: bytes | None) -> np.ndarray:
    """Decode a PNG."""
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)))


def test_images_stand_in_rows_of_sixteen_enlarged_without_smoothing() -> None:
    images = torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1).expand(40, 1, 8, 8)
    sheet = picture(sample_grid(images, images.numpy()))
    assert sheet.shape == (4 * (3 * 9 + 1), 4 * (16 * 9 + 1))
    for index in (0, 15, 16, 39):
        top, left = 4 * ((index // 16) * 9 + 1), 4 * ((index % 16) * 9 + 1)
        assert (sheet[top : top + 32, left : left + 32] == index).all()


def test_colour_images_keep_their_channels() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    images[:, 1] = 200
    sheet = picture(sample_grid(images, images.numpy()))
    assert sheet[1, 1].tolist() == [0, 200, 0]


def test_points_show_where_they_fall_upwards() -> None:
    corners = np.array([[-1.0, -1.0], [1.0, 1.0]])
    sheet = picture(sample_grid(torch.tensor([[1.0, 1.0]]), corners))
    rows, columns = np.nonzero(sheet)
    assert rows.max() < sheet.shape[0] / 2 < columns.min()


def test_other_samples_have_no_picture() -> None:
    assert sample_grid(torch.zeros(3, 5), np.zeros((3, 5))) is None
