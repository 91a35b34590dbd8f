"""Any ``nn.Module`` as a feature space, by ``package.module:attribute``; and the one door to every extractor."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genbench.errors import DeclarationError, SetupError
from genbench.extractors.blocks import run_in_blocks
from genbench.extractors.contract import declare_input
from genbench.extractors.images import check_samples
from genbench.extractors.taps import Tap, TappedNetwork
from genbench.extractors.weight_files import check_digest, file_sha256, read_state
from genbench.protocols import FeatureExtractor
from genbench.registry import unknown_name

BLOCK = 64
"""Samples in one pass."""


class ModuleExtractor:
    """A network of the user's as a feature space.

    Parameters
    ----------
    module : nn.Module
        Copied: training it further does not move the features away from their fingerprint.
    name : str
    event_shape : tuple of int
        (C, H, W) for uint8 images, (d,) for vectors.
    device : torch.device
    weights : str, Path or None
        A state dict for the module; None takes the module as it was made.
    sha256 : str or None
        What the file's digest must be.
    layers : mapping, sequence of str, or None
        ``{"pool": "backbone.avgpool", "logits": "fc"}``, or names of submodules that serve as names of layers. The
        module's own output is ``pool`` unless another is; it is also the submodule ``""``. Tables (n, width) are
        layers as they are, maps (n, channels, H, W) are averaged over places.
    value_range : (float, float) or ``"imagenet"``
        What the module was trained on; needed for images.
    size : int or None
        Images are resized to it.
    channels : {None, 1, 3}
        What the module reads; 3 repeats the channel of grey images.

    Raises
    ------
    DeclarationError
        If the input is not declared, the module fails on it, a layer does not exist, is no table, or mixes samples.
    SetupError
        If the weights cannot be read, or are of another module.

    Notes
    -----
    The fingerprint covers every tensor of the module, its class, its layers and the declared input; it cannot see a
    change in the module's code.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        event_shape: tuple[int, ...],
        device: torch.device,
        weights: str | Path | None = None,
        sha256: str | None = None,
        layers: Mapping[str, str] | Sequence[str] | None = None,
        value_range: Any = None,
        size: int | None = None,
        channels: int | None = None,
    ) -> None:
        self.name = name
        self.device = device
        self.contract = declare_input(name, event_shape, value_range=value_range, size=size, channels=channels)
        module = copy.deepcopy(module)
        if weights is not None:
            load_weights(name, module, Path(weights), sha256=sha256)
        elif sha256 is not None:
            raise DeclarationError(f"{name}: sha256 is the digest of the file that weights names; name it too.")
        places = _places(name, layers)
        taps = {layer: Tap(path) for layer, path in places.items()}
        self.network = TappedNetwork(name, module.to(device), taps, self.contract.prepare)
        self.fingerprint = module_fingerprint(
            module,
            f"{type(module).__module__}:{type(module).__qualname__}; {sorted(places.items())}; {self.contract.text}",
        )
        self.layers: Mapping[str, int] = self.network.probe(self.contract.event_shape, self.contract.dtype, device)

    def extract(self, samples: Tensor) -> Mapping[str, Tensor]:
        """Compute every layer in one pass: {layer: (n, width)} on the samples' device, for samples (n, *event).

        Raises
        ------
        SampleError
            If the samples are of another shape or dtype.
        """
        check_samples(self.name, samples, self.contract.event_shape)
        return run_in_blocks(self.network, samples, block=BLOCK, device=self.device)


def as_extractor(
    found: Any,
    *,
    name: str,
    event_shape: tuple[int, ...],
    device: torch.device,
    options: Mapping[str, Any] | None = None,
    reference: Any = None,
) -> FeatureExtractor:
    """Turn what a name stands for into an extractor.

    Parameters
    ----------
    found : object
        An extractor factory (anything callable that names ``event_shape``), a finished extractor, an ``nn.Module``, or
        a class or factory of one.
    name : str
        By which it was asked for.
    event_shape : tuple of int
    device : torch.device
    options : mapping of str to object
        Of an extractor factory, its own keywords. Of a module, those of `ModuleExtractor`; ``args``, a mapping, goes to
        the class or factory that makes the module.
    reference : tensor (n, *event), array, or None
        The training split, for factories that name it.

    Raises
    ------
    UnknownNameError
        If there is no such option.
    DeclarationError
        If an option without a default is missing, or the object is none of these.
    """
    given = {"event_shape": tuple(event_shape), "device": device, "reference": reference}
    chosen = dict(options or {})
    if callable(found) and not isinstance(found, nn.Module):
        if "event_shape" in _keywords(name, found):
            return _made(name, found(**_arguments(name, found, chosen, given)))
        arguments = _arguments(name, found, dict(chosen.pop("args", {})), {})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a module that starts at random starts at the same weights in every process
            found = found(**arguments)
    if isinstance(found, nn.Module):
        own = _arguments(name, ModuleExtractor, chosen, {**given, "module": found, "name": name})
        return ModuleExtractor(**own)
    for option in chosen:
        raise unknown_name(f"option of extractor {name}", option, {})
    return _made(name, found)


def load_weights(name: str, module: nn.Module, path: Path, *, sha256: str | None) -> str:
    """Fill a module from a file, every tensor of both; return the file's sha256.

    Raises
    ------
    SetupError
        If the digest is not the declared one, or the tensors are of another module.
    """
    digest = file_sha256(name, path)
    if sha256 is not None and digest != check_digest(name, sha256):
        raise SetupError(f"{name}: sha256 {sha256} expected, got {digest} of {path}; name the file that was meant.")
    try:
        module.load_state_dict(read_state(name, path))
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise SetupError(f"{name}: the weights in {path} are not of this network ({detail}).") from error
    return digest


def module_fingerprint(module: nn.Module, text: str) -> str:
    """Return the sha256 of a text and of every tensor of a module with its name; O(bytes)."""
    digest = hashlib.sha256(f"module, version 1; {text}".encode())
    for key, tensor in sorted(module.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"\x1f{key}\x1f{array.dtype}\x1f{tuple(array.shape)}\x1f".encode())
        digest.update(array.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _places(name: str, layers: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """Return {layer: submodule}, with ``pool`` among the layers."""
    if isinstance(layers, str):
        raise DeclarationError(f"{name}: layers should be a table or a list of submodules, got the text {layers!r}.")
    places = dict(layers) if isinstance(layers, Mapping) else {path: path for path in layers or ()}
    for layer in places:
        if not layer or set(layer) & set(".@ "):
            raise DeclarationError(
                f"{name}: a layer's name has no dots, spaces or '@', got {layer!r}; name it: layers = "
                f'{{pool = "{places[layer]}"}}.'
            )
    return {"pool": "", **places}


def _keywords(name: str, function: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"extractor {name!r}: its parameters cannot be read ({error}).") from error


def _arguments(name: str, function: Any, options: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what the function names of what genbench gives, and add the user's options if it has all of them."""
    parameters = _keywords(name, function)
    own = [key for key in parameters if key not in given]
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    for option in options:
        if option in given or (option not in own and not anything):
            raise unknown_name(f"option of extractor {name}", option, dict.fromkeys(own))
    for key, parameter in parameters.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind not in (
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.VAR_POSITIONAL,
        )
        if needed and key not in options and key not in given:
            raise DeclarationError(f"extractor {name!r} needs the option {key!r}, which has no default.")
    return {**{key: value for key, value in given.items() if key in parameters}, **options}


def _made(name: str, made: Any) -> FeatureExtractor:
    if isinstance(made, type) or not isinstance(made, FeatureExtractor):
        raise DeclarationError(
            f"extractor {name!r}: an nn.Module, a factory of one, or an object with name, fingerprint, layers and "
            f"extract(samples) expected, got {type(made).__name__}."
        )
    return made
