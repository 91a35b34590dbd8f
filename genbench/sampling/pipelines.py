"""Samples from diffusers pipelines, on a hub or in a folder. They are programs: only for those that the user trusts."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genbench.errors import SampleError, SetupError, UsageError
from genbench.files.extras import import_extra
from genbench.randomness import derive_seed

PREFIX = "hf:"

FORM = re.compile(r"hf:(?P<name>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)", re.ASCII)

INDEX = "model_index.json"
"""What makes a folder a pipeline."""

BATCH = 8
"""Images made at a time. Each has a generator of its own, so that this changes memory and not the samples."""

OFFLINE = ("HF_HUB_OFFLINE", "GENBENCH_OFFLINE")


class PipelineCall:
    """A pipeline, in the form that `genbench.sampling.calls.CalledSampler` calls.

    Parameters
    ----------
    pipeline : diffusers.DiffusionPipeline
        That takes ``batch_size``, or a ``prompt`` among the arguments.
    args : mapping
        More arguments of every call, for example ``num_inference_steps``.

    Raises
    ------
    UsageError
        If it takes neither.
    """

    def __init__(self, pipeline: Any, args: Mapping[str, Any], *, who: str) -> None:
        self._pipeline = pipeline
        self._args = dict(args)
        self._who = who
        takes = inspect.signature(pipeline.__call__).parameters
        unknown = [name for name in args if name not in takes]
        if unknown:
            raise UsageError(f"{who}: takes no argument {unknown[0]!r}; it takes {', '.join(takes)}.")
        self._prompted = "prompt" in args
        if not self._prompted and "batch_size" not in takes:
            raise UsageError(f"{who}: needs a prompt; pass --arg prompt=..., or hand in a Python function.")

    def __call__(self, n: int, *, seed: int) -> NDArray[np.uint8]:
        """Make n images, image i from the seed ``derive_seed(seed, "image", i)``: (n, H, W, C), uint8."""
        parts = [self._batch(range(start, min(start + BATCH, n)), seed) for start in range(0, n, BATCH)]
        return np.concatenate(parts)

    def _batch(self, rows: range, seed: int) -> NDArray[np.uint8]:
        generators = [torch.Generator().manual_seed(derive_seed(seed, "image", row)) for row in rows]
        args = {**self._args, "generator": generators, "output_type": "np"}
        if self._prompted:
            args["prompt"] = [self._args["prompt"]] * len(rows)
        else:
            args["batch_size"] = len(rows)
        images = np.asarray(self._pipeline(**args).images)
        if images.ndim != 4 or images.dtype.kind != "f" or not np.isfinite(images).all():
            raise SampleError(
                f"{self._who}: finite images of shape (n, H, W, C) expected, got {images.dtype} "
                f"{images.shape}; hand in a Python function."
            )
        pixels: NDArray[np.uint8] = np.rint(images.clip(0, 1) * 255).astype(np.uint8)  # as diffusers itself does
        return pixels


def is_pipeline(path: Path) -> bool:
    """Whether a folder holds a diffusers pipeline."""
    return (path / INDEX).is_file()


def check_hub_name(source: str) -> tuple[str, str]:
    """Split ``hf:org/name@revision``.

    Raises
    ------
    UsageError
        If it has another form; without a revision, the same line would give other samples tomorrow.
    """
    match = FORM.fullmatch(source)
    if match is None:
        raise UsageError(
            f"{source}: hf:org/name@revision expected; name the revision, best as a commit, so that it stays the same."
        )
    return match["name"], match["revision"]


def load_pipeline(source: str | Path, args: Mapping[str, Any], *, device: torch.device) -> PipelineCall:
    """Load a pipeline from a folder or, under ``hf:org/name@revision``, from the Hugging Face hub or its local cache.

    Parameters
    ----------
    source : str or Path
        To name the hub is to ask for the network; ``HF_HUB_OFFLINE=1`` or ``GENBENCH_OFFLINE=1`` forbids it, and then
        only what has been downloaded before is found.
    args : mapping
        For every call of the pipeline.
    device : torch.device
        Where it computes; its random numbers come from the CPU, the same for every device.

    Raises
    ------
    SetupError
        If diffusers is missing, or the pipeline cannot be had.
    UsageError
        If the pipeline or its arguments cannot give samples.
    """
    diffusers = import_extra("diffusers", extra="hf", who=str(source))
    if isinstance(source, Path):
        name, options = str(source), dict[str, Any](local_files_only=True)
    else:
        name, revision = check_hub_name(source)
        options = {"revision": revision, "local_files_only": _offline()}
    try:
        pipeline = diffusers.DiffusionPipeline.from_pretrained(name, **options).to(device)
    except Exception as error:  # the hub's client and the pipelines' own code raise anything
        offline = " (offline: only what was downloaded before is found)" if _offline() else ""
        reason = " ".join(str(error).split())[:300]
        raise SetupError(f"{source}: cannot load the pipeline{offline}: {type(error).__name__}, {reason}.") from error
    pipeline.set_progress_bar_config(disable=True)
    return PipelineCall(pipeline, args, who=str(source))


def _offline() -> bool:
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in OFFLINE)
