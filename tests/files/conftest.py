"""What the tests of loading share: images to store, every way to store them, and the form that every refusal has."""

import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from genbench.load import load_sampler


def encoded(image, kind="PNG"):
    """An image (C, H, W) as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(buffer, kind)
    return buffer.getvalue()


def everything(sampler):
    """All samples in the order in which they are stored."""
    return sampler.rows(np.arange(len(sampler))).numpy()


def tar_entry(name, content=b"", **fields):
    """A member of a tar archive, and its content."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, io.BytesIO(content)


@pytest.fixture
def pixels():
    """Make n random uint8 images."""

    def make(n=6, event_shape=(1, 4, 5)):
        return np.random.default_rng(0).integers(0, 256, size=(n, *event_shape)).astype(np.uint8)

    return make


@pytest.fixture
def npy(tmp_path):
    """Store an array as an .npy file and return its path."""

    def save(array):
        np.save(tmp_path / "samples.npy", array)
        return tmp_path / "samples.npy"

    return save


@pytest.fixture
def folder(tmp_path):
    """Store images as PNG files in a folder and return its path."""

    def save(images, name="images", names=None):
        path = tmp_path / name
        for row, image in enumerate(images):
            place = path / (names[row] if names else f"{row:03}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encoded(image))
        return path

    return save


@pytest.fixture
def packed(tmp_path):
    """Store named contents as a zip or a tar archive and return its path."""

    def save(contents, name="images.zip", **options):
        path = tmp_path / name
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", options.get("compression", zipfile.ZIP_DEFLATED)) as archive:
                for member, content in contents.items():
                    archive.writestr(member, content)
        else:
            mode = "w" if name.endswith(".tar") else "w:gz"
            with tarfile.open(path, mode, format=options.get("format", tarfile.PAX_FORMAT)) as archive:
                for member, content in contents.items():
                    archive.addfile(*tar_entry(member, content))
        return path

    return save


@pytest.fixture
def refusal():
    """Load and read what must be refused with exactly this kind of error, and return its one sentence."""

    def load(kind, source, event_shape=(1, 4, 5), **options):
        with pytest.raises(kind) as caught:
            everything(load_sampler(source, event_shape=event_shape, **options))
        assert caught.type is kind
        message = str(caught.value)
        assert message.endswith((".", "?"))
        assert "\n" not in message
        return message

    return load
