"""MNIST and its like, from small files in their real format."""

import contextlib
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.atomic import default_cache_folder
from genbench.data.mnist import fashion_mnist, kmnist, mnist, read_idx
from genbench.errors import SetupError
from tests.data.published import idx, write_mnist

SETS = pytest.mark.parametrize(
    ("load", "folder"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST"), (kmnist, "KMNIST")]
)


@SETS
@pytest.mark.parametrize("compressed", [False, True])
def test_the_arrays_are_those_of_the_files(tmp_path, load, folder, compressed):
    train, train_labels, test, test_labels = write_mnist(tmp_path, name=folder, compressed=compressed)
    data = load(root=tmp_path)
    np.testing.assert_array_equal(data.train[:, 0], train)
    np.testing.assert_array_equal(data.test[:, 0], test)
    np.testing.assert_array_equal(data.train_labels, train_labels)
    np.testing.assert_array_equal(data.test_labels, test_labels)
    assert (data.train.dtype, data.train_labels.dtype, data.event_shape) == (np.uint8, np.int64, (1, 28, 28))


def test_the_arrays_are_those_that_torchvision_reads(tmp_path):
    from torchvision import datasets

    write_mnist(tmp_path)
    data = mnist(root=str(tmp_path))
    for split in ("train", "test"):
        theirs = datasets.MNIST(tmp_path, train=split == "train")
        np.testing.assert_array_equal(data.split(split)[:, 0], theirs.data.numpy())


def test_the_folder_is_taken_from_the_environment_or_lies_in_the_cache(tmp_path, monkeypatch):
    write_mnist(tmp_path / "named")
    monkeypatch.setenv("GENBENCH_DATA", str(tmp_path / "named"))
    assert len(mnist().train) == 60
    monkeypatch.delenv("GENBENCH_DATA")
    write_mnist(default_cache_folder() / "data", train=7)
    assert len(mnist().train) == 7


def test_one_pixel_changes_the_fingerprint_and_the_folders_name_does_not(tmp_path):
    write_mnist(tmp_path / "a")
    first = mnist(root=tmp_path / "a").fingerprint
    (tmp_path / "a").rename(tmp_path / "b")
    assert mnist(root=tmp_path / "b").fingerprint == first
    file = tmp_path / "b" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    content = bytearray(file.read_bytes())
    content[500] ^= 1
    file.write_bytes(content)
    assert mnist(root=tmp_path / "b").fingerprint != first


def test_missing_files_are_named_with_the_way_to_get_them(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(SetupError) as caught:
        mnist(root=tmp_path)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    for part in ("mnist", str(tmp_path), "t10k-labels-idx1-ubyte.gz", "--download", "--data-root", "'digits'"):
        assert part in message
    assert "train-images" not in message


def test_offline_forbids_a_download_and_leaves_files_readable(tmp_path, monkeypatch):
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    with pytest.raises(SetupError, match="GENBENCH_OFFLINE forbids"):
        mnist(root=tmp_path, download=True)
    write_mnist(tmp_path)
    assert len(mnist(root=tmp_path, download=True).train) == 60


def test_a_download_is_torchvisions_and_happens_only_where_files_are_missing(tmp_path, monkeypatch):
    from torchvision import datasets

    calls = []
    monkeypatch.setattr(datasets, "MNIST", lambda root, download: calls.append(download) or write_mnist(root))
    assert len(mnist(root=tmp_path / "new", download=True).train) == 60
    assert len(mnist(root=tmp_path / "new", download=True).train) == 60
    assert calls == [True]


def test_a_download_that_fails_says_what_to_do(tmp_path, unreachable):
    with pytest.raises(SetupError, match=r"could not be downloaded .* by hand"):
        mnist(root=tmp_path, download=True)


LARGE = struct.pack(">HBB3I", 0, 8, 3, 2**30, 28, 28)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not the published ones"),
        (b"PK\x03\x04 a zip", "starts otherwise"),
        (idx(np.zeros((60, 28, 28), np.uint8))[:-1], "fewer follow"),
        (idx(np.zeros((60, 28, 28), np.uint8)) + b"\0", "more follow"),
        (idx(np.zeros((60, 27, 28), np.uint8)), r"\(n, 28, 28\) expected"),
        (idx(np.zeros((0, 28, 28), np.uint8)), r"\(n, 28, 28\) expected"),
        (idx(np.zeros((59, 28, 28), np.uint8)), "59 labels"),
        (LARGE, "at most 1,073,741,824 bytes"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_images_are_refused(tmp_path, content, said, compressed):
    write_mnist(tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.unlink()
    if compressed:
        file.with_name(file.name + ".gz").write_bytes(gzip.compress(content))
    else:
        file.write_bytes(content)
    with pytest.raises(SetupError, match=said):
        mnist(root=tmp_path)


def test_labels_beyond_nine_are_refused(tmp_path):
    write_mnist(tmp_path)
    file = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    file.write_bytes(idx(np.full(60, 10, np.uint8)))
    with pytest.raises(SetupError, match="labels from 0 to 9"):
        mnist(root=tmp_path)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_end_in_an_array_or_a_refusal(tmp_path_factory, content, headed):
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes((b"\0\0\x08" if headed else b"") + content)
    with contextlib.suppress(SetupError, struct.error):  # of headers cut short; the loader makes a SetupError of it
        assert read_idx(path).dtype == np.uint8


def test_loading_takes_the_memory_of_the_arrays_once(tmp_path):
    """12 MB of images; a second copy would double the peak, everything else is a few kilobytes."""
    write_mnist(tmp_path, train=10_000, test=6_000)
    tracemalloc.start()
    data = mnist(root=tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * (data.train.nbytes + data.test.nbytes)
