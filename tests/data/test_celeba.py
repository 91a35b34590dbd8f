"""CelebA from a few faces in its real layout."""

import numpy as np
import pytest
from PIL import Image

from genbench.data.celeba import celeba
from genbench.errors import SetupError, UsageError
from tests.data.published import write_celeba


def test_the_published_partition_decides_the_splits(tmp_path):
    colours = write_celeba(tmp_path, codes=(0, 2, 1, 0))
    data = celeba(root=tmp_path)
    assert data.train.shape == (2, 3, 64, 64)
    assert data.test.shape == (1, 3, 64, 64)
    assert data.train_labels is data.test_labels is None
    # JPEG moves a uniform colour by a level or two.
    for image, colour in zip([*data.train, *data.test], [colours[0], colours[3], colours[1]], strict=True):
        assert np.abs(image.astype(int) - np.array(colour)[:, None, None]).max() <= 3


@pytest.mark.parametrize("crop", [64, 140, 178])
def test_the_crop_is_central(tmp_path, crop):
    """White inside the crop and black outside: any pixel outside would darken an edge of the result."""
    write_celeba(tmp_path)
    face = np.zeros((218, 178, 3), np.uint8)
    left, top = (178 - crop) // 2, (218 - crop) // 2
    # JPEG blurs over blocks of 8 (16 for colour), so that the white reaches two blocks beyond the crop.
    face[max(0, top - 16) : top + crop + 16, max(0, left - 16) : left + crop + 16] = 255
    Image.fromarray(face).save(tmp_path / "celeba" / "img_align_celeba" / "000001.jpg", quality=95)
    image = celeba(root=tmp_path, crop=crop).train[0]
    assert image.min() >= 250
    if crop < 178:
        assert celeba(root=tmp_path, crop=min(178, crop + 60)).train[0].min() <= 5


def test_the_crop_is_part_of_the_fingerprint(tmp_path):
    write_celeba(tmp_path)
    pixels = np.random.default_rng(0).integers(256, size=(218, 178, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "celeba" / "img_align_celeba" / "000001.jpg")
    assert celeba(root=tmp_path).fingerprint == celeba(root=tmp_path).fingerprint
    assert celeba(root=tmp_path).fingerprint != celeba(root=tmp_path, crop=148).fingerprint


@pytest.mark.parametrize("crop", [63, 179])
def test_crops_beyond_the_image_are_refused(tmp_path, crop):
    with pytest.raises(UsageError, match="64 to 178"):
        celeba(root=tmp_path, crop=crop)


@pytest.mark.parametrize("line", ["../../secret.jpg 0", "000001.jpg", "000001.jpg 7", "a\\b.jpg 0", ""])
def test_a_list_that_leads_elsewhere_is_refused(tmp_path, line):
    write_celeba(tmp_path)
    path = tmp_path / "celeba" / "list_eval_partition.txt"
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(SetupError, match="line 1: a file's name"):
        celeba(root=tmp_path)


def test_missing_and_damaged_faces_are_named(tmp_path):
    write_celeba(tmp_path)
    face = tmp_path / "celeba" / "img_align_celeba" / "000002.jpg"
    face.write_bytes(face.read_bytes()[:300])
    with pytest.raises(SetupError, match=r"000002.jpg: missing or not readable"):
        celeba(root=tmp_path)
    face.unlink()
    with pytest.raises(SetupError, match=r"000002.jpg: missing or not readable"):
        celeba(root=tmp_path)


def test_faces_of_another_size_are_refused(tmp_path):
    write_celeba(tmp_path)
    Image.new("RGB", (178, 178)).save(tmp_path / "celeba" / "img_align_celeba" / "000001.jpg")
    with pytest.raises(SetupError, match="178 x 218 expected"):
        celeba(root=tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SetupError, match=r"lacks celeba/img_align_celeba, celeba/list_eval_partition\.txt"):
        celeba(root=tmp_path)
