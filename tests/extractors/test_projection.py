"""Principal components and random projections: the textbook's, exact, and the same in every batch."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from genbench.data.digits import digits
from genbench.errors import DeclarationError, SampleError
from genbench.extractors import projection
from genbench.extractors.projection import pca, random_projection
from genbench.protocols import FeatureExtractor
from tests.extractors.networks import CPU, pictures


def fitted(reference, **options):
    return pca(event_shape=tuple(reference.shape[1:]), device=CPU, reference=reference, **options)


@pytest.fixture(scope="module")
def images():
    return torch.from_numpy(digits().train)


@pytest.fixture(scope="module")
def held_out():
    return torch.from_numpy(digits().test)


@pytest.mark.parametrize("n", [1198, 40])
def test_components_are_scikit_learns(images, held_out, n):
    """The matrix is rounded by at most 2**-21 an entry: a feature of 64 pixels in [0, 1] moves by at most 64 * 2**-21
    = 3e-5. Components are compared up to their sign. With 40 samples the other form of the problem is solved."""
    kept = 20
    ours = fitted(images[:n], dims=kept).extract(held_out)["pool"].numpy()
    reference = PCA(kept, svd_solver="full").fit(images[:n].flatten(1).double().numpy() / 255)
    theirs = reference.transform(held_out.flatten(1).double().numpy() / 255)
    signs = np.sign((ours * theirs).sum(axis=0))
    assert np.abs(ours - theirs * signs).max() < 6e-5  # the centre is projected by the rounded matrix, too


def test_both_forms_of_the_problem_agree_where_samples_and_dimensions_are_equal():
    data = pictures(48, size=4, seed=0)
    wide = torch.cat([data, data[:1]])
    by_columns, by_rows = fitted(wide, dims=10), fitted(data[:47], dims=10)
    assert by_columns.matrix.shape == by_rows.matrix.shape == (48, 10)
    for extractor in (by_columns, by_rows):
        gram = extractor.matrix.T @ extractor.matrix
        assert (gram - torch.eye(10)).abs().max() < 48 * 2**-19


def test_variance_falls_from_component_to_component(images):
    variances = fitted(images).extract(images)["pool"].var(dim=0)
    assert (variances.diff() < 1e-9).all()


def test_largest_entry_of_every_component_is_positive(images):
    matrix = fitted(images, dims=30).matrix
    assert (matrix.gather(0, matrix.abs().argmax(dim=0, keepdim=True)) > 0).all()


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batch_changes_no_bit_of_an_images_features(held_out, images, batch):
    for extractor in (fitted(images), random_projection(event_shape=(1, 8, 8), device=CPU)):
        whole = extractor.extract(held_out)["pool"]
        parts = torch.cat([extractor.extract(part)["pool"] for part in held_out.split(batch)])
        assert torch.equal(parts, whole)
        assert torch.equal(extractor.extract(held_out.flip(0))["pool"], whole.flip(0))


def test_number_of_threads_changes_no_bit_of_an_images_features(images, held_out):
    before = torch.get_num_threads()
    extractor = fitted(images)
    whole = extractor.extract(held_out)["pool"]
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        assert torch.equal(extractor.extract(held_out)["pool"], whole)
    finally:
        torch.set_num_threads(before)


def test_sums_of_pixels_are_exact(images):
    """Whole numbers in Python have no rounding."""
    extractor = fitted(images, dims=5)
    row = images[3].flatten().tolist()
    whole = (extractor.matrix * projection.STEPS).to(torch.int64).T.tolist()
    offset = (extractor.offset * projection.STEPS).to(torch.int64).tolist()
    exact = [
        (sum(p * m for p, m in zip(row, column, strict=True)) - centre) / projection.STEPS / 255
        for column, centre in zip(whole, offset, strict=True)
    ]
    assert extractor.extract(images[3:4])["pool"][0].tolist() == pytest.approx(exact, rel=1e-15)


def test_vectors_in_batches_agree_to_rounding():
    """A sum of 30 products in float64, in another order, moves by at most 30 * 2**-53 of the sum of their sizes."""
    data = torch.randn(200, 30, generator=torch.Generator().manual_seed(0))
    extractor = fitted(data, dims=8)
    whole = extractor.extract(data)["pool"]
    parts = torch.cat([extractor.extract(part)["pool"] for part in data.split(7)])
    assert (whole - parts).abs().max() < 30 * 2**-50 * data.double().norm(dim=1).max()


def test_blocks_of_the_fit_change_no_bit(images, monkeypatch):
    whole = fitted(images).fingerprint
    monkeypatch.setattr(projection, "BLOCK", 100)
    assert fitted(images).fingerprint == whole
    assert fitted(images[:40]).fingerprint != whole


def test_block_is_the_largest_whose_products_float32_adds_exactly():
    assert projection.BLOCK * projection.MIDDLE**2 == 2**24


def test_default_takes_64_components_or_as_many_as_the_data_have(images):
    """Three of the 64 pixels are zero in every digit."""
    assert fitted(images).layers == {"pool": 61}
    assert fitted(pictures(200, size=8, seed=0)).layers == {"pool": 64}
    assert fitted(torch.randn(50, 2, generator=torch.Generator().manual_seed(0))).layers == {"pool": 2}


@pytest.mark.parametrize(
    ("n", "dims", "told"),
    [
        (1198, 65, "dims between 1 and 64 expected"),
        (1198, 62, "dims between 1 and 61 expected, because the training samples vary in 61 directions"),
        (30, 30, "dims between 1 and 29 expected"),
        (1198, 0, "dims between 1"),
        (1198, 2.0, "got 2.0"),
    ],
)
def test_more_dimensions_than_the_data_have_are_refused(images, n, dims, told):
    with pytest.raises(DeclarationError, match=told):
        fitted(images[:n], dims=dims)


def test_constant_data_are_refused():
    with pytest.raises(DeclarationError, match="vary in 0 directions"):
        fitted(torch.full((20, 1, 2, 2), 7, dtype=torch.uint8))


def test_training_samples_that_are_not_finite_are_refused():
    with pytest.raises(SampleError, match="finite"):
        fitted(torch.tensor([[1.0, 2.0], [float("nan"), 0.0], [3.0, 1.0]]))


def test_other_reference_is_refused():
    with pytest.raises(DeclarationError, match=r"of shape \(1, 8, 8\) expected"):
        pca(event_shape=(1, 8, 8), device=CPU, reference=torch.zeros(5, 3))


def test_fit_on_many_wide_samples_takes_a_fixed_choice_of_them(monkeypatch):
    data = pictures(60, size=4, seed=1)
    monkeypatch.setattr(projection, "MAX_SIDE", 40)
    first, again = fitted(data, dims=5), fitted(data, dims=5)
    assert first.fingerprint == again.fingerprint
    monkeypatch.setattr(projection, "MAX_SIDE", 100)
    assert fitted(data, dims=5).fingerprint != first.fingerprint


def test_reference_is_neither_written_to_nor_kept(images):
    before = images.clone()
    extractor = fitted(images)
    assert torch.equal(images, before)
    assert not any(value is images for value in vars(extractor).values())


def test_random_projection_keeps_distances_on_average():
    """A squared distance in k random directions, times d / k, is chi-square with k degrees over k: relative deviation
    (2 / 64) ** 0.5 = 0.18 for one pair. Over 500 pairs of rows, which share one matrix, the mean deviates by at most
    0.18; five of those are allowed."""
    data = torch.randn(1000, 300, generator=torch.Generator().manual_seed(3))
    pool = random_projection(event_shape=(300,), device=CPU).extract(data)["pool"]
    before = (data[:500] - data[500:]).double().square().sum(dim=1)
    after = (pool[:500] - pool[500:]).square().sum(dim=1)
    assert (after / before).mean().item() * 300 / 64 == pytest.approx(1, abs=0.9)
    assert pool.shape == (1000, 64)


def test_random_projection_depends_on_the_shape_alone():
    first, again = (random_projection(event_shape=(1, 8, 8), device=CPU, dims=9) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert torch.equal(first.matrix, again.matrix)
    assert random_projection(event_shape=(64,), device=CPU, dims=9).fingerprint != first.fingerprint
    assert random_projection(event_shape=(1, 8, 8), device=CPU, dims=8).fingerprint != first.fingerprint


def test_random_projection_to_more_dimensions_is_refused():
    with pytest.raises(DeclarationError, match="between 1 and 2 expected"):
        random_projection(event_shape=(2,), device=CPU, dims=3)
    assert random_projection(event_shape=(2,), device=CPU).layers == {"pool": 2}


def test_both_satisfy_the_protocol_and_refuse_other_samples(images):
    for extractor in (fitted(images), random_projection(event_shape=(1, 8, 8), device=CPU)):
        assert isinstance(extractor, FeatureExtractor)
        assert len(bytes.fromhex(extractor.fingerprint)) == 32
        with pytest.raises(SampleError, match="uint8 samples of shape"):
            extractor.extract(images.float())
        with pytest.raises(SampleError, match="uint8 samples of shape"):
            extractor.extract(images[:, :, 1:])


def test_fingerprint_of_digits_is_the_same_on_every_machine(images):
    """Products are exact and entries are rounded to 2**-20: another BLAS must be wrong by 1e-7 to move it, or an entry
    must lie within its error, about 1e-13, of a border: probability 64 * 20 * 2e-13 * 2**20 = 3e-4."""
    assert fitted(images, dims=20).fingerprint.startswith("445caafb4081b4e5")
