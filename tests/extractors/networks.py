"""Random weights, images and small networks that the tests of extractors share."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

CPU = torch.device("cpu")


class WeightsFile(NamedTuple):
    path: Path
    sha256: str

    @property
    def declared(self) -> dict[str, object]:
        """The options that name it."""
        return {"weights": self.path, "sha256": self.sha256}


def save_state(state: object, path: Path) -> WeightsFile:
    torch.save(state, path)
    return WeightsFile(path, hashlib.sha256(path.read_bytes()).hexdigest())


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draw weights that keep the size of activations through any depth: normal, variance 2 / inputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            draw = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                parameter.copy_(draw * (2 / parameter[0].numel()) ** 0.5)
            else:
                parameter.copy_(0.01 * draw + name.endswith(("weight", "gamma")))
    return module


def inception_state() -> dict[str, Tensor]:
    """Random weights of torch-fidelity's own Inception-v3; the last layers are raised, so that images differ."""
    from torch_fidelity import FeatureExtractorInceptionV3

    class Unfilled(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: object, *args: object, **options: object) -> None:
            """Take no weights."""

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.random.fork_rng(devices=[]):
        network = Unfilled("inception-v3-compat", ["2048"], feature_extractor_weights_path=empty)
    fill(network)
    with torch.no_grad():
        for name, parameter in network.Mixed_7c.named_parameters():
            parameter.mul_(2 if ".bn." in name else 1)
        network.fc.weight.sub_(network.fc.weight.mean(dim=1, keepdim=True)).mul_(20)
    return network.state_dict()


def pictures(n: int, size: int = 32, *, seed: int, channels: int = 3, contrast: float = 1.0, grey: int = 128) -> Tensor:
    """Blocks of colour of several sizes around a grey, uint8 (n, channels, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(n, channels, size, size)
    for cells in (1, 2, 4, 8):
        part = torch.rand(n, channels, cells, cells, generator=generator) - 0.5
        total += nn.functional.interpolate(part, size=(size, size), mode="nearest")
    return (grey + 254 / 4 * contrast * total).clamp(0, 255).to(torch.uint8)


def row_error(found: Tensor, expected: Tensor) -> float:
    """Largest distance of a row from what it should be, relative to the row's length."""
    lengths = expected.double().norm(dim=1).clamp_min(1e-300)
    return float(((found.double() - expected.double()).norm(dim=1) / lengths).max())
