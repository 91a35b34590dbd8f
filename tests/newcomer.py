"""A newcomer's folder: samples, images, features and models of their own, for pages that read them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import genbench
from tests.makers import ImageSampler


def write_samples(folder: Path) -> None:
    """Write 700 generated images, as bytes and as floats in [-1, 1]."""
    images = ImageSampler().sample(700, seed=0).numpy()
    np.savez(folder / "samples.npz", images)
    np.save(folder / "floats.npy", images.astype(np.float32) / 127.5 - 1)


def write_own_data(folder: Path) -> None:
    """Write folders, an archive, features and statistics."""
    digits = genbench.load_dataset("digits")
    for name, pixels in (("images", digits.train[:600]), ("real", digits.train[600:]), ("more", digits.test)):
        (folder / name).mkdir()
        for row, image in enumerate(pixels):
            Image.fromarray(image[0]).save(folder / name / f"{row:04d}.png")
    np.savez(folder / "real.npz", images=digits.train[600:])
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for path in sorted((folder / "images").iterdir()):
            archive.write(path, path.name)
    points = np.random.default_rng(0).standard_normal((800, 3))
    np.save(folder / "points.npy", points)
    np.savez(folder / "stats.npz", mu=np.zeros(3), sigma=np.eye(3), n=1000)
    np.save(folder / "features.npy", np.random.default_rng(0).standard_normal((599, 64)).astype(np.float32))


def write_net(folder: Path) -> None:
    """Write weights and the exported program of the network ``Net`` in ``mymodels.py``."""
    names: dict[str, Any] = {"__name__": "mymodels"}
    exec(compile((folder / "mymodels.py").read_text(), "mymodels.py", "exec"), names)
    net = names["Net"]()
    torch.save(net.state_dict(), folder / "net.pt")
    batch = {0: torch.export.Dim("batch", min=2)}
    torch.export.save(torch.export.export(net, (torch.zeros(4, 16),), dynamic_shapes=(batch,)), folder / "net.pt2")
