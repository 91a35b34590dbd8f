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
from genbench.extractors.inception import Inception

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bf16": torch.float32}
"""In which images are resized and normalized, by precision."""


def build(
    name: str,
    layers: Sequence[str],
    state: dict[str, Tensor],
    *,
    size: tuple[int, int],
    precision: str,
    device: torch.device,
) -> nn.Module:
    """Build a registered extractor around a state dict.

    Parameters
    ----------
    name : str
        In torch-fidelity's registry.
    layers : sequence of str
        In torch-fidelity's words; the network stops after the last of them.
    state : dict of str to Tensor
    size : (int, int)
        Height and width of the images.
    precision : {"float32", "float64", "bf16"}
        In which it computes.
    device : torch.device

    Returns
    -------
    nn.Module
        In eval mode, without gradients: uint8 (n, 3, H, W) to a tuple of float32 (n, width), one a layer.

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
    module: nn.Module
    if name == "inception-v3-compat":
        module = _inception(network, layers, size, precision, device)
    else:
        # Not by its own option, whose "float64" is float32 in release 0.4.
        network.feature_extractor_internal_dtype = DTYPES[precision]
        network.to(DTYPES[precision])
        module = _Bf16(network) if precision == "bf16" else network
    return module.to(device).eval().requires_grad_(False)


def _inception(
    network: Any, layers: Sequence[str], size: tuple[int, int], precision: str, device: torch.device
) -> nn.Module:
    half = precision == "bf16"
    # In float32, cuDNN's kernels for channels last are the fewer and younger ones.
    last = half or device.type == "cpu"
    return Inception(
        network,
        layers,
        height=size[0],
        width=size[1],
        dtype=DTYPES[precision],
        inner=torch.bfloat16 if half else DTYPES[precision],
        memory_format=torch.channels_last if last else torch.contiguous_format,
    )


class _Bf16(nn.Module):
    """A network whose matrix products and convolutions run in bfloat16; its preprocessing stays float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            return self.network(images)


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
