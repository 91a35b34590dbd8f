"""Pictures that explain a score show the right samples in the right places."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.pictures import EDGE, MOST_BYTES, influence_picture, nearest_picture, sample_influence


def shades(values: list[int], *, channels: int = 1, size: int = 8) -> torch.Tensor:
    """Images of one shade each."""
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, channels, size, size).clone()


def decoded(png: bytes | None) -> np.ndarray:
    assert png is not None
    return np.asarray(Image.open(io.BytesIO(png)))


def tile(sheet: np.ndarray, row: int, place: int, *, images: int, late: bool = False) -> np.ndarray:
    """The image at a place of a row, counted in images; ``late``: below the wide gap."""
    gap, inside = EDGE // 4, 2
    cell, within = divmod(place, images)
    top = gap + row * (EDGE + gap) + (gap if late else 0)
    left = gap + cell * (images * (EDGE + inside) - inside + gap) + within * (EDGE + inside)
    return sheet[top : top + EDGE, left : left + EDGE]


def test_pairs_stand_beside_each_other_and_the_closest_comes_first() -> None:
    # Sample i lies 30 - i from training image i: the last sample is the closest.
    seen = Features([[100.0 * i + 30 - i] for i in range(30)])
    real = Features([[100.0 * i] for i in range(30)])
    train = shades([200 - i for i in range(30)]).numpy()
    sheet = decoded(nearest_picture(shades(list(range(30))), seen, train, real))
    for place in range(24):
        row, column = divmod(place, 6)
        sample = 29 - place
        assert (tile(sheet, row, 2 * column, images=2) == sample).all()
        assert (tile(sheet, row, 2 * column + 1, images=2) == 200 - sample).all()


def test_one_training_image_may_be_nearest_to_many() -> None:
    sheet = decoded(
        nearest_picture(shades([10, 20]), Features([[0.0], [3.0]]), shades([90, 80]).numpy(), Features([[1.0], [99.0]]))
    )
    assert (tile(sheet, 0, 1, images=2) == 90).all()
    assert (tile(sheet, 0, 3, images=2) == 90).all()


def test_influence_is_what_leaving_a_sample_out_does() -> None:
    """Leaving out sample i lowers the distance by influence / (n - 1), up to second-order terms of relative size d/n.

    At n = 400, d = 3 these and the changed unbiased denominators are a few per cent of the largest effects; 10% of the
    largest is allowed.
    """
    rng = np.random.default_rng(3)
    generated = rng.standard_normal((400, 3)) * [1.0, 2.0, 0.5] + [0.5, 0.0, 0.0]
    reference = Features(rng.standard_normal((300, 3)))
    predicted = sample_influence(Features(generated), reference).numpy() / 399
    whole = fd(generated=generated, reference=reference).value
    chosen = [int(predicted.argmax()), int(predicted.argmin()), *range(0, 400, 40)]
    left_out = [whole - fd(generated=np.delete(generated, i, axis=0), reference=reference).value for i in chosen]
    # All effects share a part that does not depend on the sample: of the smaller n.
    shift = np.mean(left_out[2:]) - np.mean(predicted[chosen][2:])
    assert left_out == pytest.approx(predicted[chosen] + shift, abs=0.1 * np.abs(predicted).max())


def test_the_worst_sample_stands_first_above_and_the_most_helpful_first_below() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, 2))
    values[7] = [9.0, 9.0]  # far away from all real data
    seen, reference = Features(values), Features(rng.standard_normal((50, 2)))
    best = int(sample_influence(seen, reference).argmin())
    sheet = decoded(influence_picture(shades([5 * i for i in range(40)]), seen, reference))
    assert (tile(sheet, 0, 0, images=1) == 35).all()
    assert (tile(sheet, 2, 0, images=1, late=True) == 5 * best).all()


@pytest.mark.parametrize("size", [8, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_stay_small_even_of_noise(size: int, channels: int) -> None:
    rng = np.random.default_rng(1)
    noise = torch.from_numpy(rng.integers(0, 256, (60, channels, size, size), dtype=np.uint8))
    seen, real = (Features(rng.standard_normal((60, 2))) for _ in range(2))
    for png in (nearest_picture(noise, seen, noise.numpy(), real), influence_picture(noise, seen, real)):
        assert png is not None
        assert len(png) < MOST_BYTES


def test_colours_are_kept() -> None:
    images = shades([0, 0], channels=3)
    images[:, 1] = 200
    sheet = decoded(nearest_picture(images, Features([[0.0], [1.0]]), images.numpy(), Features([[0.0], [1.0]])))
    assert tile(sheet, 0, 0, images=2)[0, 0].tolist() == [0, 200, 0]


def test_points_have_no_such_picture() -> None:
    points, features = torch.zeros(3, 2), Features(np.eye(3))
    assert nearest_picture(points, features, np.zeros((3, 2)), features) is None
    assert influence_picture(points, features, features) is None


def test_features_of_other_samples_are_refused() -> None:
    images, features = shades([1, 2, 3]), Features(np.eye(3))
    with pytest.raises(SampleError, match=r"as many features as samples expected \(2\), got 3"):
        nearest_picture(images[:2], features, images.numpy(), features)
    with pytest.raises(SampleError, match=r"as many features as training images expected \(2\), got 3"):
        nearest_picture(images, features, images[:2].numpy(), features)
    with pytest.raises(SampleError, match=r"expected \(2\), got 3"):
        influence_picture(images[:2], features, features)
