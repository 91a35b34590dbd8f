"""Generators that tests hand in by name, as a user would."""

import numpy as np
import torch
from torch import nn

SHAPE = (1, 4, 5)


class Net(nn.Module):
    """Latents of width 4 to images in [0, 1]; batch normalization and dropout show the mode it runs in."""

    def __init__(self, hidden=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, hidden), nn.BatchNorm1d(hidden), nn.Dropout(0.5), nn.Linear(hidden, 20)
        )

    def forward(self, z):
        return torch.sigmoid(self.layers(z)).reshape(-1, 1, 4, 5)


class Noisy(nn.Module):
    """Draws from torch's own generator when it is called, as many generators do."""

    def forward(self, z):
        return torch.sigmoid(z + torch.randn_like(z)).reshape(-1, *SHAPE)


class Broken(nn.Module):
    def forward(self, z):
        raise RuntimeError("no memory\nleft")


class WithSample(nn.Module):
    """A network that samples by itself."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Dropout(0.5)

    def sample(self, n, *, seed):
        rng = torch.Generator().manual_seed(seed)
        return self.layers(torch.rand(n, *SHAPE, generator=rng))


def make_net(hidden):
    return Net(hidden)


def images(n, *, seed):
    """uint8 images, as a numpy array."""
    return np.random.default_rng(seed).integers(0, 256, (n, *SHAPE), dtype=np.uint8)


def plain_seed(n, seed):
    return torch.from_numpy(images(n, seed=seed))


def with_level(n, *, seed, level=1):
    return images(n, seed=seed) // level


def make_function(level):
    def draw(n, seed):
        return images(n, seed=seed) // level

    return draw


class Model:
    """A sampler that a class makes."""

    name = "my-model"

    def __init__(self, level=1, *, seed=0):
        self.level = level

    def sample(self, n, *, seed):
        return images(n, seed=seed) // self.level


class Unnamed:
    def sample(self, n, seed):
        return images(n, seed=seed)


class Finite:
    name = "held"

    def __len__(self):
        return 10

    def rows(self, indices):
        return images(10, seed=0)[indices]


class Conditional:
    name = "conditional"
    classes = 3

    def sample(self, n, *, seed, labels):
        return np.broadcast_to(labels.numpy()[:, None, None, None], (n, *SHAPE)).astype(np.uint8)


class NoClasses:
    def sample(self, n, *, seed, labels):
        return images(n, seed=seed)


class NoSeed:
    def sample(self, n):
        return images(n, seed=0)


def fails(n, *, seed):
    raise KeyError("weights")


def factory_fails(path):
    raise FileNotFoundError(path)


def floats(n, *, seed):
    return np.random.default_rng(seed).random((n, 4, 5, 1))


def text(n, *, seed):
    return ["a"] * n


def vectors(n, *, seed):
    return np.random.default_rng(seed).standard_normal((n, 2))


model = Model()
net = Net()
number = 3
