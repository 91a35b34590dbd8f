"""Samples with labels beside them in one .npz file."""

import io
import zipfile

import numpy as np
import pytest

from genbench.errors import SampleError, UsageError
from genbench.files.arrays import read_labelled
from genbench.files.limits import LIMITS, Limits

POINTS = np.random.default_rng(0).normal(size=(6, 2))
KINDS = np.array([3, 1, 3, 1, 2, 2])


@pytest.fixture
def npz(tmp_path):
    def save(how=np.savez, **arrays):
        how(tmp_path / "x.npz", **arrays)
        return tmp_path / "x.npz"

    return save


@pytest.mark.parametrize("how", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("key", ["arr_0", "images", "anything"])
def test_labels_are_found_beside_the_samples(npz, how, key):
    samples, labels = read_labelled(npz(how, **{key: POINTS, "labels": KINDS}), limits=LIMITS)
    np.testing.assert_array_equal(samples, POINTS)
    np.testing.assert_array_equal(labels, KINDS)


def test_labels_may_have_another_name_if_it_is_given(npz):
    samples, labels = read_labelled(npz(x=POINTS, y=KINDS), label="y", limits=LIMITS)
    np.testing.assert_array_equal(samples, POINTS)
    np.testing.assert_array_equal(labels, KINDS)


def test_an_array_alone_is_samples_whatever_its_name(npz):
    samples, labels = read_labelled(npz(labels=POINTS), limits=LIMITS)
    np.testing.assert_array_equal(samples, POINTS)
    assert labels is None


def test_a_name_that_is_not_there_lists_those_that_are(npz):
    with pytest.raises(UsageError, match="labels in an array 'z' expected, got x, y; name one of those"):
        read_labelled(npz(x=POINTS, y=KINDS), label="z", limits=LIMITS)


def test_labels_alone_are_no_samples(npz):
    with pytest.raises(SampleError, match=r"one array expected, .* got no array"):
        read_labelled(npz(labels=KINDS), label="labels", limits=LIMITS)


@pytest.mark.parametrize("labels", [KINDS[:5], KINDS[:, None], np.zeros((6, 3))])
def test_there_is_one_label_for_each_sample(npz, labels):
    with pytest.raises(SampleError, match=r"\(labels\): a label for each sample, of shape \(6,\), expected"):
        read_labelled(npz(x=POINTS, labels=labels), limits=LIMITS)


def test_labels_are_trusted_no_more_than_samples(npz):
    """Neither pickles nor sizes: 4 values are 32 bytes, 6 labels are 48."""
    with pytest.raises(SampleError, match="pickled Python objects, which are never loaded"):
        read_labelled(npz(x=POINTS, labels=np.array([{}] * 6)), limits=LIMITS)
    path = npz(np.savez_compressed, arr_0=POINTS[:2], labels=KINDS)
    with pytest.raises(SampleError, match=r"x.npz \(labels\): at most 40 bytes are read, got 48"):
        read_labelled(path, limits=Limits(array_bytes=40))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y.npy", header.getvalue() + bytes(48))
    with pytest.raises(SampleError, match=r"x.npz \(y\): its header declares 8,000,000,000,000 bytes"):
        read_labelled(path, label="y", limits=LIMITS)
