"""Generators that are stored as programs: TorchScript, torch.export, ONNX. Only for files that the user vouches for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.files.detect import EXPORTED, ONNX, TORCHSCRIPT
from genbench.files.extras import import_extra
from genbench.files.parsing import parsing
from genbench.sampling.calls import LatentCall, evaluating
from genbench.sampling.latents import Latent

Forward = Callable[[Tensor], Any]

ONNX_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(double)": torch.float64}


def load_program(path: Path, kind: str, latent: Latent, *, device: torch.device) -> LatentCall:
    """Load a program that maps latents to samples. It may do anything: see `genbench.files.detect.check_trust`.

    Parameters
    ----------
    path : Path
        An existing file.
    kind : str
        As `genbench.files.detect.program_kind` says.
    latent : Latent
        What the program takes.
    device : torch.device
        Where to compute; ONNX computes on the CPU where its runtime has no CUDA.

    Raises
    ------
    SampleError
        If the file is damaged, or takes something other than one batch of latents.
    SetupError
        If the package that runs ONNX is missing.
    """
    load = {TORCHSCRIPT: _load_torchscript, EXPORTED: _load_exported, ONNX: _load_onnx}[kind]
    with parsing(path, f"a {kind} program"):
        forward, batch = load(path, latent, device)
    return LatentCall(forward, latent, device=device, batch=batch)


def _load_torchscript(path: Path, latent: Latent, device: torch.device) -> tuple[Forward, int | None]:
    module = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]

    def forward(latents: Tensor) -> Any:
        with evaluating(module), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript itself, in newer versions of torch
            return module(latents)

    return forward, None


def _load_exported(path: Path, latent: Latent, device: torch.device) -> tuple[Forward, int | None]:
    program = torch.export.load(path)
    inputs = program.graph_signature.user_inputs
    shapes = [
        node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs
    ]
    if len(shapes) != 1:
        raise _inputs(path, len(shapes))
    # An exported module cannot change its mode: what was exported is what runs.
    module = program.module().to(device)
    return module, _fixed(path, list(shapes[0]), latent)


def _load_onnx(path: Path, latent: Latent, device: torch.device) -> tuple[Forward, int | None]:
    onnxruntime = import_extra("onnxruntime", extra="onnx", who=str(path))
    wanted = ["CUDAExecutionProvider"] if device.type == "cuda" else []
    available = onnxruntime.get_available_providers()
    providers = [name for name in wanted if name in available] + ["CPUExecutionProvider"]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; they are raised anyway
    session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise _inputs(path, len(inputs))
    taken = inputs[0]
    if taken.type not in ONNX_TYPES:
        raise SampleError(f"{path}: an input of floating-point latents expected, got {taken.type}; export it anew.")

    def forward(latents: Tensor) -> Any:
        return session.run(None, {taken.name: latents.to("cpu", ONNX_TYPES[taken.type]).numpy()})[0]

    return forward, _fixed(path, list(taken.shape), latent)


def _inputs(path: Path, count: int) -> SampleError:
    return SampleError(
        f"{path}: one input, a batch of latents, expected, got {count} inputs; export a module that draws the others "
        "itself, or hand in a Python function."
    )


def _fixed(path: Path, shape: list[Any], latent: Latent) -> int | None:
    """Return the batch that a program was exported for, where that is fixed, after comparing the rest of the shape."""
    sizes = [size if isinstance(size, int) else None for size in shape]
    if len(sizes) != 1 + len(latent.shape) or any(
        size not in (None, wanted) for size, wanted in zip(sizes[1:], latent.shape, strict=True)
    ):
        raise SampleError(
            f"{path}: takes a batch of shape ({', '.join(str(size) for size in shape)}), but latents of shape "
            f"{latent.shape} were declared; declare the shape that it takes."
        )
    return sizes[0]
