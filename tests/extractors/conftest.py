"""Weights files that several tests read."""

import pytest

from tests.extractors.networks import WeightsFile, inception_state, save_state


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> WeightsFile:
    """A file of Inception-v3's shapes with random weights."""
    return save_state(inception_state(), tmp_path_factory.mktemp("inception") / "weights.pth")
