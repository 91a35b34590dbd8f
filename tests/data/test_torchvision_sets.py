"""CIFAR, SVHN and STL-10 from small files in their real formats, whose md5 torchvision is told."""

import os
import pickle

import numpy as np
import pytest

from genbench.data.torchvision_sets import cifar10, cifar100, stl10, svhn
from genbench.errors import SetupError
from tests.data.published import images, write_cifar, write_stl10, write_svhn

WRITERS = {
    "cifar10": (cifar10, write_cifar),
    "cifar100": (cifar100, lambda root, patch: write_cifar(root, patch, fine=True)),
    "svhn": (svhn, write_svhn),
    "stl10": (stl10, write_stl10),
}

SETS = pytest.mark.parametrize("name", WRITERS)


@SETS
def test_the_arrays_are_those_of_the_files(tmp_path, monkeypatch, name):
    load, write = WRITERS[name]
    written = write(tmp_path, monkeypatch)
    data = load(root=tmp_path)
    assert data.name == name
    for split, labels in (("train", data.train_labels), ("test", data.test_labels)):
        np.testing.assert_array_equal(data.split(split), written[split][0])
        np.testing.assert_array_equal(labels, written[split][1])
        assert data.split(split).dtype == np.uint8
        assert data.split(split).flags.c_contiguous
        assert labels.dtype == np.int64


@SETS
def test_a_missing_file_is_named_with_the_way_to_get_it(tmp_path, monkeypatch, name):
    load, write = WRITERS[name]
    write(tmp_path, monkeypatch)
    file = sorted(path for path in tmp_path.rglob("*test*") if path.is_file())[0]
    file.unlink()
    with pytest.raises(SetupError, match=f"{name}: expected in .*{file.name}.*--download") as caught:
        load(root=tmp_path)
    assert caught.value.exit_code == 4


@SETS
def test_an_altered_file_is_refused(tmp_path, monkeypatch, name):
    load, write = WRITERS[name]
    write(tmp_path, monkeypatch)
    file = sorted(path for path in tmp_path.rglob("*test*") if path.is_file())[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(SetupError, match="not the published ones, or damaged"):
        load(root=tmp_path)


def test_a_pickle_that_is_not_the_published_one_is_never_run(tmp_path):
    """Without the md5 that the other tests declare, as on a user's machine."""

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for part in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / part).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(SetupError, match="not the published ones"):
        cifar10(root=tmp_path)
    assert not (tmp_path / "ran").exists()


@SETS
def test_offline_forbids_a_download(tmp_path, monkeypatch, name):
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    with pytest.raises(SetupError, match="GENBENCH_OFFLINE forbids"):
        WRITERS[name][0](root=tmp_path, download=True)


@SETS
def test_a_download_without_network_ends_in_a_refusal(tmp_path, unreachable, name):
    with pytest.raises(SetupError, match="could not be downloaded"):
        WRITERS[name][0](root=tmp_path, download=True)


def test_images_of_another_shape_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.data.published.images", lambda n, channels, size, seed=0: images(n, 1, size, seed=seed))
    write_svhn(tmp_path, monkeypatch)
    with pytest.raises(SetupError, match=r"\('n', 3, 32, 32\)"):
        svhn(root=tmp_path)


def test_stl10_neither_needs_nor_reads_its_unlabelled_images(tmp_path, monkeypatch):
    write_stl10(tmp_path, monkeypatch)
    assert not (tmp_path / "stl10_binary" / "unlabeled_X.bin").exists()
    assert len(stl10(root=tmp_path).train) == 3
