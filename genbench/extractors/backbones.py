"""Backbones of torchvision and timm, by the model's name, with weights from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError, SetupError, UnknownNameError
from genbench.extractors.blocks import block_size, run_in_blocks
from genbench.extractors.images import GREY, as_rgb, check_images, check_samples
from genbench.extractors.modules import load_weights
from genbench.extractors.taps import Tap, TappedNetwork
from genbench.extractors.weight_files import file_sha256
from genbench.files.extras import import_extra
from genbench.registry import unknown_name


class Backbone:
    """A pretrained classifier as a feature space: ``pool``, what its last linear layer reads, and ``logits``.

    Parameters
    ----------
    name : str
        ``"torchvision"`` or ``"timm"``.
    module : nn.Module
        Without weights.
    classifier : str
        The submodule that makes the logits.
    transform : callable
        uint8 (n, 3, H, W) to the network's input.
    preprocessing : str
        The transform in words.
    event_shape : tuple of int
        (1, H, W) or (3, H, W); one channel is repeated to three.
    device : torch.device
    weights : str or Path
    sha256 : str or None
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        *,
        classifier: str,
        transform: Callable[[Tensor], Tensor],
        preprocessing: str,
        event_shape: tuple[int, ...],
        device: torch.device,
        weights: str | Path,
        sha256: str | None,
    ) -> None:
        self.name = name
        self.device = device
        self.event_shape = check_images(name, event_shape)
        self.weights_sha256 = load_weights(name, module, Path(weights), sha256=sha256)
        taps = {"pool": Tap(classifier, before=True), "logits": Tap(classifier)}
        self.network = TappedNetwork(name, module.to(device), taps, lambda images: transform(as_rgb(images)))
        text = f"{preprocessing}; {GREY}; weights {self.weights_sha256}"
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()
        self.layers: Mapping[str, int] = self.network.probe(self.event_shape, torch.uint8, device)

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Compute both layers in one pass: {layer: (n, width)} on the samples' device, for uint8 (n, C, H, W).

        Raises
        ------
        SampleError
            If the samples are of another shape or dtype.
        """
        check_samples(self.name, samples, self.event_shape)
        return run_in_blocks(self.network, samples, block=block_size(self.device), device=self.device)


def torchvision_backbone(
    *,
    event_shape: tuple[int, ...],
    device: torch.device,
    model: str,
    weights: str | Path,
    variant: str | None = None,
    sha256: str | None = None,
) -> Backbone:
    """Build a classifier of torchvision.

    Parameters
    ----------
    event_shape : tuple of int
    device : torch.device
    model : str
        As in ``torchvision.models.get_model``: ``resnet18``, ``convnext_tiny``, ``vit_b_16`` ...
    weights : str or Path
        Its state dict. There are no weights without a file.
    variant : str or None
        Whose preprocessing to apply, for example ``IMAGENET1K_V1``. None finds it by the file's sha256, which
        torchvision's names of files tell; it must be declared for a file of your own.
    sha256 : str or None
        What the file's digest must be.

    Raises
    ------
    UnknownNameError
        If torchvision has no such model or variant.
    DeclarationError
        If the variant cannot be told, or the model does not end in a linear layer.
    SetupError
        If torchvision cannot be imported or the weights are not of the model.
    """
    try:
        import torchvision
        from torchvision import models
    except (ImportError, RuntimeError, OSError) as error:  # a build for another torch raises RuntimeError
        raise SetupError(
            f"torchvision: cannot import it ({error}); install torch and torchvision from one index."
        ) from error
    known = models.list_models(module=models)
    if model not in known:
        raise unknown_name("model of torchvision", model, dict.fromkeys(known))
    choices = models.get_model_weights(model)
    with torch.random.fork_rng(devices=[]):  # a model starts at random before it is filled
        module = models.get_model(model, weights=None)
    chosen = _variant(model, choices, Path(weights), variant)
    return Backbone(
        "torchvision",
        module,
        classifier=_last_linear("torchvision", model, module),
        transform=chosen.transforms(),
        preprocessing=f"torchvision {torchvision.__version__} {model}; {chosen.transforms()}",
        event_shape=event_shape,
        device=device,
        weights=weights,
        sha256=sha256,
    )


def timm_backbone(
    *,
    event_shape: tuple[int, ...],
    device: torch.device,
    model: str,
    weights: str | Path,
    sha256: str | None = None,
) -> Backbone:
    """Build a classifier of timm.

    Parameters
    ----------
    event_shape : tuple of int
    device : torch.device
    model : str
        As in ``timm.create_model``, with the tag that names its preprocessing: ``resnet50.a1_in1k``.
    weights : str or Path
        Its state dict, ``.safetensors`` or ``.pth``. There are no weights without a file.
    sha256 : str or None
        What the file's digest must be.

    Raises
    ------
    UnknownNameError
        If timm has no such model.
    DeclarationError
        If the model does not end in a linear layer.
    SetupError
        If timm is not installed or the weights are not of the model.
    """
    timm, timm_data = (import_extra(module, extra="timm", who="timm") for module in ("timm", "timm.data"))
    try:
        with torch.random.fork_rng(devices=[]):
            module = timm.create_model(model, pretrained=False)
    except RuntimeError as error:
        near = timm.list_models(f"*{model.partition('.')[0]}*", pretrained=True)[:5]
        raise UnknownNameError(
            f"unknown model of timm {model!r}; {'near: ' + ', '.join(near) if near else 'see timm.list_models()'}."
        ) from error
    config = timm_data.resolve_model_data_config(module)
    steps = timm_data.create_transform(**config, is_training=False).transforms
    settings = ", ".join(f"{key}={config[key]}" for key in sorted(config))
    return Backbone(
        "timm",
        module,
        classifier=_last_linear("timm", model, module),
        transform=lambda images: _run_steps(steps, images),
        preprocessing=f"timm {timm.__version__} {model}; {settings}; tensors resized as uint8",
        event_shape=event_shape,
        device=device,
        weights=weights,
        sha256=sha256,
    )


def _variant(model: str, choices: Any, path: Path, variant: str | None) -> Any:
    """Find whose preprocessing a weights file belongs to."""
    if variant is not None:
        if variant not in choices.__members__:
            raise unknown_name(f"variant of {model}", variant, choices.__members__)
        return choices[variant]
    digest = file_sha256("torchvision", path)
    for choice in choices:
        prefix = choice.url.rpartition("-")[2].partition(".")[0]  # resnet18-f37072fd.pth
        if len(prefix) >= 8 and digest.startswith(prefix):
            return choice
    raise DeclarationError(
        f"torchvision: {path} is none of torchvision's own files for {model}; declare whose preprocessing it expects: "
        f"variant = {' or '.join(repr(name) for name in choices.__members__)}."
    )


def _last_linear(name: str, model: str, module: nn.Module) -> str:
    """Return the submodule that makes the logits: the last linear layer."""
    names: list[str] = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not names:
        raise DeclarationError(
            f"{name}: {model} does not end in a linear layer; use it by package.module:attribute and name its layers."
        )
    return names[-1]


def _run_steps(steps: Any, images: Tensor) -> Tensor:
    """Apply timm's steps to uint8 tensors; what turns a PIL image into a tensor passes tensors on as they are."""
    x = images
    for step in steps:
        if type(step).__name__ == "Normalize":
            x = x.to(torch.float32) / 255
        x = step(x)
    return x
