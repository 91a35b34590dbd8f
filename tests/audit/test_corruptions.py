"""Every corruption does what it says, to as many samples as it says, and nothing at severity 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.fft import dctn

from genbench.audit.corruptions import CORRUPTIONS, Material, corrupt
from genbench.audit.grounds import TERRAINS
from genbench.errors import SampleError, UnknownNameError, UsageError

N = {"mixture": 200, "digits": 225}
MATERIAL = {name: TERRAINS[name].draw(n, 0)[1] for name, n in N.items()}
SHARED = ("collapse", "duplicates", "copies", "near copies", "foreign")
"""Those that replace a share of the samples."""


@pytest.fixture(params=sorted(MATERIAL))
def given(request: pytest.FixtureRequest) -> Material:
    return MATERIAL[request.param]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_zero_changes_nothing(name: str, given: Material) -> None:
    samples, labels = corrupt(name, given, 0.0, seed=1)
    np.testing.assert_array_equal(samples, given.samples[: given.n])
    np.testing.assert_array_equal(labels, given.labels[: given.n])


@pytest.mark.parametrize("severity", [0.05, 0.4, 0.8, 1.0])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_samples_keep_their_kind_and_their_source(name: str, severity: float, given: Material) -> None:
    """Mode drop and imbalance leave too few samples at 1: nobody is left, or half of the classes."""
    if name in ("mode drop", "imbalance") and severity == 1:
        severity = 0.8
    before = given.samples.copy(), given.labels.copy(), given.train.copy(), given.foreign.copy()
    samples, labels = corrupt(name, given, severity, seed=1)
    assert samples.shape == (given.n, *given.samples.shape[1:])
    assert samples.dtype == given.samples.dtype
    assert np.isfinite(samples.astype(np.float64)).all()
    assert labels.shape == (given.n,)
    assert set(labels) <= set(given.labels)
    again, _ = corrupt(name, given, severity, seed=1)
    np.testing.assert_array_equal(samples, again)
    for kept, now in zip(before, (given.samples, given.labels, given.train, given.foreign), strict=True):
        np.testing.assert_array_equal(kept, now)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_another_seed_or_severity_gives_other_samples(name: str, given: Material) -> None:
    def made(severity: float, seed: int) -> tuple[bytes, bytes]:
        samples, labels = corrupt(name, given, severity, seed=seed)
        return samples.tobytes(), labels.tobytes()

    assert made(0.4, 1) != made(0.8, 1)
    if name not in ("blur", "shrink"):  # which have nothing to choose
        assert made(0.4, 1) != made(0.4, 2)


@pytest.mark.parametrize("name", SHARED)
def test_a_share_of_the_samples_is_replaced_and_more_of_them_at_a_higher_severity(name: str, given: Material) -> None:
    """All of the replaced samples differ but those, in collapse, that are the prototype of their class: at most 10."""
    clean = given.samples[: given.n].reshape(given.n, -1)

    def touched(severity: float) -> set[int]:
        samples, _ = corrupt(name, given, severity, seed=3)
        return set(np.flatnonzero((samples.reshape(given.n, -1) != clean).any(axis=1)).tolist())

    few, many = touched(0.2), touched(0.6)
    assert few <= many
    for found, severity in ((few, 0.2), (many, 0.6)):
        assert round(severity * given.n) - 10 <= len(found) <= round(severity * given.n)


@pytest.mark.parametrize(("severity", "left"), [(0.2, 8), (0.5, 5), (0.8, 2)])
def test_mode_drop_leaves_whole_classes_of_different_samples(severity: float, left: int, given: Material) -> None:
    samples, labels = corrupt("mode drop", given, severity, seed=2)
    assert len(set(labels)) == left
    assert len(np.unique(samples.reshape(given.n, -1), axis=0)) == given.n


def test_half_a_class_is_dropped_at_half_of_its_severity() -> None:
    """2,000 samples: a class of ten has 200, here about 100, a share of 1/19; .01 are two deviations of it."""
    given = replace(TERRAINS["mixture"].draw(500, 1)[1], n=2000)
    _, labels = corrupt("mode drop", given, 0.05, seed=2)
    smallest = np.bincount(labels).min() / len(labels)
    assert smallest == pytest.approx(1 / 19, abs=0.01)


def test_imbalance_makes_half_of_the_classes_rarer() -> None:
    """At .8 five classes have 1/6 each and five 1/30: within 4 deviations of 2,000 draws, .034 and .016."""
    given = replace(TERRAINS["mixture"].draw(500, 1)[1], n=2000)
    _, labels = corrupt("imbalance", given, 0.8, seed=2)
    shares = np.sort(np.bincount(labels) / len(labels))
    assert shares[:5] == pytest.approx(np.full(5, 1 / 30), abs=0.016)
    assert shares[5:] == pytest.approx(np.full(5, 1 / 6), abs=0.034)


def test_noise_has_the_size_it_says() -> None:
    """Deviation .5 of the unit one within classes: 4,800 numbers know it to 1%, the deviation itself to .3%."""
    given = MATERIAL["mixture"]
    samples, _ = corrupt("noise", given, 0.5, seed=2)
    assert (samples - given.samples[: given.n]).std() == pytest.approx(0.5, rel=0.05)


def test_blur_takes_the_fine_half_and_leaves_the_coarse_one() -> None:
    """Of digits, clipping to [0, 255] brings a part of the fine half back: of its energy at most a half."""
    given = MATERIAL["digits"]
    samples, _ = corrupt("blur", given, 1.0, seed=2)
    rows, columns = np.indices((8, 8))

    def energies(images: np.ndarray) -> tuple[float, float]:
        squares = dctn(images.astype(float), axes=(2, 3), norm="ortho") ** 2
        return float(squares[..., rows + columns > 7].sum()), float(squares[..., rows + columns <= 7].sum())

    (fine, coarse), (fine_before, coarse_before) = energies(samples), energies(given.samples[: given.n])
    assert fine < 0.5 * fine_before
    assert coarse == pytest.approx(coarse_before, rel=0.1)

    given = MATERIAL["mixture"]
    samples, _ = corrupt("blur", given, 1.0, seed=2)
    spectrum = np.linalg.eigvalsh(np.cov(samples.T.astype(float)))
    assert spectrum[11] < 1e-6 < 0.5 < spectrum[12]


def test_shrinking_moves_samples_to_the_mean_of_their_class() -> None:
    given = MATERIAL["mixture"]
    centres = {label: given.samples[given.labels == label].mean(axis=0) for label in range(10)}
    samples, labels = corrupt("shrink", given, 1.0, seed=2)
    np.testing.assert_allclose(samples, np.stack([centres[label] for label in labels]), rtol=1e-5, atol=1e-5)


def test_a_collapsed_class_is_one_sample(given: Material) -> None:
    samples, labels = corrupt("collapse", given, 1.0, seed=2)
    for label in set(labels):
        assert len(np.unique(samples[labels == label].reshape((labels == label).sum(), -1), axis=0)) == 1


def test_duplicates_leave_the_rest_of_the_share_distinct(given: Material) -> None:
    samples, _ = corrupt("duplicates", given, 0.4, seed=2)
    assert len(np.unique(samples.reshape(given.n, -1), axis=0)) == given.n - round(0.4 * given.n)
    assert len(np.unique(corrupt("duplicates", given, 1.0, seed=2).samples.reshape(given.n, -1), axis=0)) == 1


def test_copies_are_training_samples_each_at_most_once(given: Material) -> None:
    train = {row.tobytes() for row in given.train}
    assert len(train) == len(given.train)
    samples, _ = corrupt("copies", given, 0.5, seed=2)
    found = [row.tobytes() for row in samples if row.tobytes() in train]
    assert len(found) == len(set(found)) == round(0.5 * given.n)
    near, _ = corrupt("near copies", given, 0.5, seed=2)
    assert not any(row.tobytes() in train for row in near)


def test_label_noise_renames_and_changes_no_sample(given: Material) -> None:
    samples, labels = corrupt("label noise", given, 0.5, seed=2)
    np.testing.assert_array_equal(samples, given.samples[: given.n])
    assert (labels != given.labels[: given.n]).sum() == round(0.5 * given.n)


def test_what_cannot_be_done_is_said() -> None:
    given = MATERIAL["digits"]
    with pytest.raises(UnknownNameError, match="Did you mean 'shrink'"):
        corrupt("shrnk", given, 0.5, seed=0)
    for severity in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="from 0 to 1 expected"):
            corrupt("noise", given, severity, seed=0)
    with pytest.raises(SampleError, match="of the classes that stay expected, got"):
        corrupt("mode drop", given, 0.95, seed=0)
    with pytest.raises(SampleError, match="training samples expected, got 3"):
        corrupt("copies", replace(given, train=given.train[:3]), 0.5, seed=0)
    with pytest.raises(SampleError, match="foreign samples expected, got 3"):
        corrupt("foreign", replace(given, foreign=given.foreign[:3]), 0.5, seed=0)
    with pytest.raises(SampleError, match="at least n = 225 samples expected, got 10"):
        corrupt("noise", replace(given, samples=given.samples[:10], labels=given.labels[:10]), 0.5, seed=0)
