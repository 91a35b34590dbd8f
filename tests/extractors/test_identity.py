"""The identity: nothing is lost, nothing is learned."""

import numpy as np
import pytest
import torch

from genbench.errors import SampleError
from genbench.extractors.identity import Identity
from genbench.protocols import FeatureExtractor
from genbench.registry import EXTRACTORS

CPU = torch.device("cpu")


def test_registry_finds_it_and_it_satisfies_the_protocol():
    extractor = EXTRACTORS.load("identity")(event_shape=(2,), device=CPU)
    assert isinstance(extractor, FeatureExtractor)
    assert extractor.name == "identity"


def test_vectors_pass_through_exactly_as_float64():
    vectors = torch.tensor([[0.1, -3e38], [1e-40, 2.0]])
    pool = Identity(event_shape=(2,), device=CPU).extract(vectors)["pool"]
    assert pool.dtype == torch.float64
    assert torch.equal(pool, vectors.double())


def test_images_become_flat_pixels_between_zero_and_one():
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 4, 4, 4)
    extractor = Identity(event_shape=(4, 4, 4), device=CPU)
    pool = extractor.extract(images)["pool"]
    assert extractor.layers == {"pool": 64}
    np.testing.assert_array_equal(pool.numpy(), np.arange(256.0).reshape(4, 64) / 255)


def test_rows_follow_the_samples_whatever_their_company():
    images = torch.randint(0, 256, (9, 3, 2, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    extractor = Identity(event_shape=(3, 2, 5), device=CPU)
    together = extractor.extract(images)["pool"]
    assert torch.equal(extractor.extract(images.flip(0))["pool"], together.flip(0))
    assert torch.equal(extractor.extract(images[4:5])["pool"], together[4:5])


def test_samples_are_not_written_to_and_share_no_memory_with_the_features():
    vectors = torch.ones(3, 2, dtype=torch.float32)
    Identity(event_shape=(2,), device=CPU).extract(vectors)["pool"].zero_()
    assert torch.equal(vectors, torch.ones(3, 2))


def test_fingerprint_is_a_sha256_that_does_not_depend_on_the_shape():
    prints = {Identity(event_shape=shape, device=CPU).fingerprint for shape in ((2,), (1, 8, 8))}
    assert len(prints) == 1
    assert len(bytes.fromhex(prints.pop())) == 32


def test_other_shapes_are_refused():
    with pytest.raises(SampleError, match=r"shape \(n, 2\) expected, got \(5, 3\)"):
        Identity(event_shape=(2,), device=CPU).extract(torch.zeros(5, 3))
