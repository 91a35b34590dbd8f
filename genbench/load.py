"""The one door for generators: whatever form a model or its samples have, one call makes a sampler of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from genbench.devices import resolve_device
from genbench.errors import DeclarationError, UsageError
from genbench.files import tars
from genbench.files.conversion import ValueRange, as_events
from genbench.files.detect import PROGRAM_SUFFIXES, WHY, check_trust, program_kind
from genbench.files.formats import ARRAYS, TARS, split_suffix
from genbench.files.images import FolderImages, ZipImages
from genbench.files.limits import LIMITS, Limits
from genbench.files.parsing import parsing
from genbench.files.pixels import check_image_shape
from genbench.protocols import Sampler
from genbench.registry import SAMPLERS, unknown_name
from genbench.sampling.callables import Wishes, sampler_of
from genbench.sampling.calls import CalledSampler, RowsSampler
from genbench.sampling.conversion import array_sampler, as_array, to_samples
from genbench.sampling.decoding import ImageSampler
from genbench.sampling.files import FileSampler
from genbench.sampling.latents import parse_latent
from genbench.sampling.pipelines import PREFIX, PipelineCall, check_hub_name, is_pipeline, load_pipeline
from genbench.sampling.programs import load_program
from genbench.sampling.request import Request
from genbench.sampling.request import parse_args as parse_args
from genbench.training.trained import is_checkpoint, load_trained

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""``package.module:attribute``."""

FORMS = (
    "a folder, .zip or .tar of images, an array (.npy, .npz, .pt, .safetensors), package.module:attribute, a program "
    "(.pt2, .ts, .onnx), hf:org/name@revision, or a checkpoint of genbench"
)


def load_sampler(
    source: Any,
    *,
    event_shape: tuple[int, ...],
    value_range: ValueRange | None = None,
    layout: str | None = None,
    name: str | None = None,
    args: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    latent: str | None = None,
    trust_code: bool = False,
    device: str = "cpu",
    limits: Limits = LIMITS,
    workers: int = 0,
) -> Sampler | FileSampler:
    """Make a sampler of anything that generates or holds samples.

    Files are data and never code: no pickle is run, and every size is proved before memory is taken. What is a program
    is refused unless ``trust_code`` is set; Python code that you name yourself is run, since you have it already.

    Parameters
    ----------
    source : str, Path or object
        One of these forms.

        ============================================  ===============================================================
        folder of images, also in subfolders          .png, .jpg, .bmp, .webp; in the order of their names
        ``.zip``, ``.tar``, ``.tar.gz`` of images     read in place, never extracted; a compressed tar is held in memory
        ``.npy``                                      mapped, not read
        ``.npz``                                      its only array, or ``arr_0``, ``images`` or ``samples``
        ``.pt``, ``.pth``                             a tensor, or a dict with one tensor, or one named as above
        ``.safetensors``                              likewise; needs the extra ``safetensors``
        tensor or numpy array                         the samples themselves
        ``package.module:attribute``, or the object   a function ``f(n, *, seed)``; an object with
                                                      ``sample(n, *, seed)``, or with a length and ``rows(indices)``; a
                                                      function or class that returns one of them; a `torch.nn.Module`,
                                                      its class, or a function that makes one, with ``latent`` declared
        name of a registered sampler                  entry points of the group ``genbench.samplers``
        ``results/.../checkpoints/gan/seed0.pt``      a model that ``genbench run`` trained
        ``.ts``, ``.torchscript``, ``.pt`` (script)   TorchScript; needs ``trust_code`` and ``latent``
        ``.pt2``                                      torch.export; needs ``trust_code`` and ``latent``
        ``.onnx``                                     needs ``trust_code``, ``latent`` and the extra ``onnx``
        ``hf:org/name@revision``, or its folder       a diffusers pipeline; needs ``trust_code`` and the extra ``hf``
        ============================================  ===============================================================
    event_shape : tuple of int
        (C, H, W) for images, (d,) for vectors, as the benchmark's data have it.
    value_range : (float, float), optional
        What black and white are stored as: (0, 1), (-1, 1) or (0, 255). Needed for images that are not uint8.
    layout : {"NCHW", "NHWC", "NHW"}, optional
        Of arrays of images. Needed only where the shape can be read in two ways.
    name : str, optional
        Of the sampler; by default its own, or the file's, function's or class's.
    args : mapping, optional
        For the function, class or pipeline; `parse_args` reads them from ``NAME=VALUE`` texts.
    weights : str or Path, optional
        Of a `torch.nn.Module`: a state dict, or a dict with one under ``state_dict`` or ``model``, saved by torch or
        as .safetensors.
    latent : str, optional
        What a network or program takes: ``"128"`` (standard normal), ``"3x8x8:uniform"`` (on [-1, 1]).
    trust_code : bool
        Whether a source may run the code that it holds.
    device : str
        ``auto``, or a torch device, where a network computes. Latents are drawn on the CPU, the same for all.
    limits : Limits
        What a file may ask for.
    workers : int
        Processes that decode image files; 0 decodes in this one. Changes no sample.

    Returns
    -------
    Sampler or FileSampler
        The latter, for samples that exist already, has a length and ``rows(indices)``. Both give images uint8
        (n, C, H, W) or vectors float32 (n, d).

    Raises
    ------
    UsageError
        If the source does not exist or is of no known form, a program is not trusted, or a declaration is missing,
        wrong, or of no use for this form.
    SampleError
        If the contents cannot be scored: damaged, empty, not finite, of another shape or out of range; or if a limit
        is passed.
    SetupError
        If an extra is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from genbench.load import load_sampler
    >>> images = np.zeros((10, 8, 8), dtype=np.uint8)
    >>> sampler = load_sampler(images, event_shape=(1, 8, 8), name="black")
    >>> len(sampler), sampler.sample(4, seed=0).shape
    (10, torch.Size([4, 1, 8, 8]))
    """
    request = Request(
        event_shape=tuple(event_shape),
        value_range=value_range,
        layout=layout,
        name=name,
        args=dict(args or {}),
        weights=None if weights is None else Path(weights),
        latent=latent,
        trust_code=trust_code,
        device=resolve_device(device),
        limits=limits,
        workers=workers,
    )
    if isinstance(source, (np.ndarray, Tensor)):
        return _from_array(source, request)
    if not isinstance(source, (str, Path)):
        return _from_object(source, _name_of(source), request, own_name=True)
    if isinstance(source, str) and source.startswith(PREFIX):
        return _from_pipeline(source, check_hub_name(source)[0].rpartition("/")[2], request)
    path = Path(source)
    if os.path.isdir(path):  # unlike Path.is_dir, these take any text for an answer
        return _from_folder(path, request)
    if os.path.isfile(path):
        return _from_file(path, request)
    return _from_name(str(source), request)


def _from_array(samples: NDArray[Any] | Tensor, request: Request) -> Sampler | FileSampler:
    request.refuse("an array", "args", "weights", "latent")
    name = request.name or "array"
    return _stored(as_array(samples, request.limits, who=name), name, name, request)


def _from_folder(path: Path, request: Request) -> Sampler | FileSampler:
    if is_pipeline(path):
        return _from_pipeline(path, path.resolve().name, request)
    _check_images(path, request)
    return _from_images(FolderImages(path, limits=request.limits), path.resolve().name, request)


def _from_file(path: Path, request: Request) -> Sampler | FileSampler:
    suffix, stem = split_suffix(path)
    with parsing(path):
        trained = is_checkpoint(path)
    if trained:
        request.refuse("a checkpoint of genbench", "args", "weights", "latent", "value_range", "layout")
        return load_trained(
            path,
            event_shape=request.event_shape,
            name=request.name,
            trust_code=request.trust_code,
            device=request.device,
            limits=request.limits,
        )
    kind = program_kind(path, limits=request.limits)
    if kind is not None:
        check_trust(path, kind, WHY[kind], trust_code=request.trust_code)
        request.refuse(f"a {kind} program", "args", "weights")
        latent = parse_latent(request.latent, who=str(path))
        call = load_program(path, kind, latent, device=request.device)
        name = request.name or stem
        return CalledSampler(name, call, finish=partial(request.finish, who=name), device=request.device)
    if suffix in ARRAYS:
        request.refuse(f"an array in a {suffix} file", "args", "weights", "latent")
        return _stored(ARRAYS[suffix](path, request.limits), stem, str(path), request)
    if suffix not in (".zip", *TARS):
        raise UsageError(
            f"samples: {', '.join((*ARRAYS, '.zip', *TARS, *PROGRAM_SUFFIXES))} or a folder of images expected, got "
            f"{str(path)!r}; save one of those."
        )
    _check_images(path, request)
    if suffix == ".zip":
        return _from_images(ZipImages(path, limits=request.limits), stem, request)
    if tars.is_gzip(path):
        return _stored(tars.read_tar_gz(path, request.event_shape, request.limits), stem, str(path), request)
    return _from_images(tars.TarImages(path, limits=request.limits), stem, request)


def _from_name(source: str, request: Request) -> Sampler | FileSampler:
    """Import what the user named."""
    known = SAMPLERS.entries()
    if source not in known and MODULE.fullmatch(source) is None:
        if known and not any(mark in source for mark in "/\\."):
            raise unknown_name("sampler", source, known)
        raise UsageError(f"samples: {FORMS} expected, got {source!r}, which does not exist; check the path.")
    try:
        found = SAMPLERS.load(source)
    except (UsageError, KeyboardInterrupt):
        raise
    except Exception as error:  # whatever the module does when it is imported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise DeclarationError(f"{source}: cannot be imported ({reason}); correct the module.") from error
    return _from_object(found, source.rpartition(":")[2], request, own_name=request.name is None)


def _from_object(found: Any, name: str, request: Request, *, own_name: bool) -> Sampler | FileSampler:
    chosen = request.name or name
    wishes = Wishes(
        name=chosen,
        own_name=own_name and request.name is None,
        args=request.args,
        weights=request.weights,
        latent=request.latent,
        device=request.device,
        finish=partial(request.finish, who=chosen),
        limits=request.limits,
    )
    sampler: CalledSampler | RowsSampler = sampler_of(found, wishes)
    return sampler


def _from_pipeline(source: str | Path, name: str, request: Request) -> Sampler:
    reason = "its steps are code from whoever made it"
    check_trust(source, "a diffusers pipeline", reason, trust_code=request.trust_code)
    request.refuse("a diffusers pipeline", "weights", "latent", "value_range", "layout")
    check_image_shape(request.event_shape, who=str(source))
    call: PipelineCall = load_pipeline(source, request.args, device=request.device)
    chosen = request.name or name

    def finish(found: NDArray[np.uint8]) -> Tensor:
        return to_samples(as_events(found, request.event_shape, "NHWC", who=chosen))

    return CalledSampler(chosen, call, finish=finish, device=request.device)


def _from_images(source: Any, name: str, request: Request) -> ImageSampler:
    return ImageSampler(
        request.name or name,
        source,
        event_shape=request.event_shape,
        limits=request.limits,
        workers=request.workers,
    )


def _check_images(path: Path, request: Request) -> None:
    request.refuse("image files", "args", "weights", "latent", "layout")
    check_image_shape(request.event_shape, who=str(path))
    if request.value_range not in (None, (0, 255)):
        raise UsageError(
            f"{path}: image files hold values in [0, 255], got {request.value_range}; leave the range out."
        )


def _stored(array: NDArray[Any], name: str, who: str, request: Request) -> FileSampler:
    return array_sampler(
        request.name or name,
        array,
        event_shape=request.event_shape,
        value_range=request.value_range,
        layout=request.layout,
        who=who,
    )


def _name_of(found: Any) -> str:
    return str(getattr(found, "__name__", type(found).__name__))
