"""torch-fidelity's networks, built from tensors that are already read and checked.

Imported only when one is built: torch-fidelity takes seconds to import, and fails where torchvision does not fit torch.
Its own ways to weights are not taken: they unpickle without protection (Inception-v3, VGG16), fetch and run code
(DINOv2, which refuses a file), or run the file as a program (CLIP).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_fidelity import FeatureExtractorBase, FeatureExtractorCLIP, FeatureExtractorDinoV2
from torch_fidelity.feature_extractor_clip import build_model
from torch_fidelity.utils import create_feature_extractor

from genbench.extractors.dinov2 import DinoV2


def build(name: str, layers: Sequence[str], state: dict[str, Tensor], *, dtype: torch.dtype) -> nn.Module:
    """Build a registered extractor around a state dict.

    Parameters
    ----------
    name : str
        In torch-fidelity's registry.
    layers : sequence of str
        In torch-fidelity's words; the network stops after the last of them.
    state : dict of str to Tensor
    dtype : torch.dtype
        In which it computes.

    Returns
    -------
    nn.Module
        On the CPU, in eval mode, without gradients: uint8 (n, 3, H, W) to a tuple of float32 (n, width), one a layer.

    Raises
    ------
    KeyError, RuntimeError, ValueError
        If the tensors are of another network.
    """
    if name.startswith("clip-"):
        network: Any = _Clip(name, list(layers), state)
    elif name.startswith("dinov2-"):
        network = _Dino(name, list(layers), state)
    else:
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        network = create_feature_extractor(
            name, list(layers), cuda=False, verbose=False, feature_extractor_weights_path=buffer
        )
    # Not by its own option, whose "float64" is float32 in release 0.4.
    network.feature_extractor_internal_dtype = dtype
    module: nn.Module = network.to(dtype)
    return module.eval().requires_grad_(False)


def read_archive(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a TorchScript archive, as OpenAI publishes CLIP; it is a program, so verify it first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the format, and the files will not change
        archive = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return dict(archive.state_dict())


class _Clip(FeatureExtractorCLIP):  # type: ignore[misc]
    def __init__(self, name: str, layers: list[str], state: dict[str, Tensor]) -> None:
        FeatureExtractorBase.__init__(self, name, layers)
        self.model = build_model(dict(state), torch.float32)
        self.resolution = self.model.visual.input_resolution


class _Dino(FeatureExtractorDinoV2):  # type: ignore[misc]
    def __init__(self, name: str, layers: list[str], state: dict[str, Tensor]) -> None:
        FeatureExtractorBase.__init__(self, name, layers)
        self.model = DinoV2(state)
