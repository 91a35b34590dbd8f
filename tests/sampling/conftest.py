"""What the tests of files share: images to store, and the form that every refusal has."""

import numpy as np
import pytest

from genbench.sampling.files import load_samples


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
def refusal():
    """Load a file that must be refused with exactly this kind of error, and return its one sentence."""

    def load(kind, path, event_shape=(1, 4, 5), **options):
        with pytest.raises(kind) as caught:
            load_samples(path, event_shape=event_shape, **options)
        assert caught.type is kind
        message = str(caught.value)
        assert message.endswith((".", "?"))
        assert "\n" not in message
        return message

    return load
