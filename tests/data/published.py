"""Small files in the formats in which the published sets lie on disk."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def images(n, channels, size, *, seed=0):
    return np.random.default_rng(seed).integers(256, size=(n, channels, size, size), dtype=np.uint8)


def idx(array):
    """The bytes of an idx file: two zeros, 8 for bytes, the number of axes, their lengths, the data."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(root: Path, *, name="MNIST", train=60, test=30, compressed=False):
    """Write a set in MNIST's format; return its four arrays: images (n, 28, 28) and labels of train, then of test."""
    raw = root / name / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    arrays = []
    for seed, (side, n) in enumerate((("train", train), ("t10k", test))):
        pixels, labels = images(n, 1, 28, seed=seed)[:, 0], (np.arange(n) % 10).astype(np.uint8)
        for stem, array in ((f"{side}-images-idx3-ubyte", pixels), (f"{side}-labels-idx1-ubyte", labels)):
            if compressed:
                (raw / f"{stem}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (raw / stem).write_bytes(idx(array))
            arrays.append(array)
    return arrays


def write_cifar(root: Path, monkeypatch, *, fine=False, n=4):
    """Write CIFAR-10 (or 100) as pickles, and tell torchvision their md5; return images and labels of each split."""
    from torchvision import datasets

    kind = datasets.CIFAR100 if fine else datasets.CIFAR10
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    found = {"train": ([], []), "test": ([], [])}
    for lists, side in ((kind.train_list, "train"), (kind.test_list, "test")):
        for i, (file, _) in enumerate(lists):
            pixels = images(n, 3, 32, seed=10 * len(side) + i)
            labels = [(i + j) % 10 for j in range(n)]
            batch = {"data": pixels.reshape(n, -1), "fine_labels" if fine else "labels": labels}
            (folder / file).write_bytes(pickle.dumps(batch))
            found[side][0].append(pixels)
            found[side][1].extend(labels)
    names = {kind.meta["key"]: [str(i) for i in range(100 if fine else 10)]}
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps(names))
    monkeypatch.setattr(kind, "train_list", [[file, md5(folder / file)] for file, _ in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [[file, md5(folder / file)] for file, _ in kind.test_list])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(folder / kind.meta["filename"])})
    return {side: (np.concatenate(pixels), np.array(labels)) for side, (pixels, labels) in found.items()}


def write_svhn(root: Path, monkeypatch, *, n=6):
    """Write SVHN as .mat files, where the digit 0 is labelled 10; return images and true labels of train and test."""
    from scipy.io import savemat
    from torchvision import datasets

    root.mkdir(parents=True, exist_ok=True)
    found, lists = {}, dict(datasets.SVHN.split_list)
    for seed, side in enumerate(("train", "test")):
        pixels, labels = images(n, 3, 32, seed=seed), np.arange(n) % 10
        url, file, _ = lists[side]
        stored = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        savemat(root / file, {"X": pixels.transpose(2, 3, 1, 0), "y": stored})
        lists[side] = [url, file, md5(root / file)]
        found[side] = (pixels, labels)
    monkeypatch.setattr(datasets.SVHN, "split_list", lists)
    return found


def write_stl10(root: Path, monkeypatch, *, n=3):
    """Write STL-10's binary files, columns first and labels from 1; return images and labels of train and test."""
    from torchvision import datasets

    folder = root / "stl10_binary"
    folder.mkdir(parents=True)
    found = {}
    for seed, side in enumerate(("train", "test")):
        pixels, labels = images(n, 3, 96, seed=seed), np.arange(n) % 10
        (folder / f"{side}_X.bin").write_bytes(pixels.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{side}_y.bin").write_bytes((labels + 1).astype(np.uint8).tobytes())
        found[side] = (pixels, labels)
    train = [[file, md5(folder / file)] for file in ("train_X.bin", "train_y.bin")]
    monkeypatch.setattr(datasets.STL10, "train_list", [*train, datasets.STL10.train_list[2]])
    test = [[file, md5(folder / file)] for file in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(datasets.STL10, "test_list", test)
    return found


def write_celeba(root: Path, *, codes=(0, 0, 1, 2)):
    """Write faces of one colour each, and the list that says to which split each belongs; return the colours."""
    folder = root / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    colours = [(20 * i + 10, 200 - 20 * i, 100) for i in range(len(codes))]
    lines = []
    for i, (code, colour) in enumerate(zip(codes, colours, strict=True), 1):
        Image.new("RGB", (178, 218), colour).save(folder / f"{i:06}.jpg", quality=95)
        lines.append(f"{i:06}.jpg {code}\n")
    (root / "celeba" / "list_eval_partition.txt").write_text("".join(lines))
    return colours


def md5(path: Path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
