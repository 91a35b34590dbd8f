"""Reading .pt and .safetensors files that are not trusted: tensors and plain values, mapped from the file."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.errors import SampleError, UsageError
from genbench.files.arrays import samples_key
from genbench.files.detect import program_kind
from genbench.files.extras import import_extra
from genbench.files.limits import Limits
from genbench.files.parsing import parsing
from genbench.files.zips import open_zip

ALLOCATOR = b"bytearray"
"""The one name that torch's own safe loading would call with any number, taking that much memory."""

NESTED = ("state_dict", "model")
"""Under which keys a checkpoint keeps its weights, beside an optimizer and such."""


def read_pt(path: Path, *, limits: Limits) -> NDArray[Any]:
    """Read the samples of a file of `torch.save`: a tensor, or a dict with one tensor or one named images or samples.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits
        ``members`` of its archive; ``array_bytes`` for tensors that must be converted because numpy lacks their dtype.

    Returns
    -------
    array of bool, int or float
        Not empty, mapped from the file. bfloat16 and narrower floats become float32, in memory.

    Raises
    ------
    SampleError
        If the file is damaged, holds Python objects, or it is not clear which tensor is meant.
    """
    with parsing(path):
        return _samples(safe_load(path, limits=limits), limits, who=str(path))


def read_safetensors(path: Path, *, limits: Limits) -> NDArray[Any]:
    """Read the samples of a .safetensors file; parameters, return value and errors are those of `read_pt`.

    Raises
    ------
    SetupError
        If the package is missing.
    """
    with parsing(path):
        return _samples(load_safetensors(path), limits, who=str(path))


def read_state(path: Path, *, limits: Limits, legacy: bool = False) -> dict[str, Tensor]:
    """Read the weights of a network: a state dict, or a dict with one under ``state_dict`` or ``model``.

    Parameters
    ----------
    path : Path
        An existing file of `torch.save`, or of safetensors by its suffix.
    limits, legacy
        As for `safe_load`.

    Returns
    -------
    dict of str to Tensor
        On the CPU, mapped from the file.

    Raises
    ------
    UsageError
        If the file is a program.
    SampleError
        If it is damaged, holds Python objects, or anything but named tensors.
    SetupError
        If the package of safetensors is missing.
    """
    with parsing(path):
        safetensors = path.suffix.lower() == ".safetensors"
        found = load_safetensors(path) if safetensors else safe_load(path, limits=limits, legacy=legacy)
    for key in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
            break
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise SampleError(
            f"{path}: a state dict, or a dict with one under {' or '.join(NESTED)}, expected, got "
            f"{type(found).__name__}; save model.state_dict()."
        )
    return dict(found)


def load_safetensors(path: Path) -> dict[str, Tensor]:
    """Map every tensor of a .safetensors file.

    Raises
    ------
    SetupError
        If the package is missing.
    """
    safetensors = import_extra("safetensors", extra="safetensors", who=str(path))
    with safetensors.safe_open(str(path), framework="pt", device="cpu") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping


def safe_load(path: Path, *, limits: Limits, legacy: bool = False) -> Any:
    """Load a file of `torch.save` as data: tensors, mapped from the file, and plain values.

    Two locks: torch's own (``weights_only``), and before it a look at the archive, which must be plain torch.save's.
    Torch would unpack a compressed pickle of any size, and would call ``bytearray`` with any number.

    Parameters
    ----------
    path : Path
        An existing file.
    limits : Limits
        ``members`` of its archive.
    legacy : bool
        Whether files from before torch 1.6 are read, as many published weights are: they are no archives, so that only
        torch's own lock holds, and are not mapped.

    Raises
    ------
    UsageError
        If the file is a program.
    SampleError
        If it holds Python objects, or is no such archive.
    """
    kind = program_kind(path, limits=limits)
    if kind is not None:
        raise UsageError(f"{path}: tensors expected, got a program ({kind}); save the tensors with torch.save.")
    if zipfile.is_zipfile(path):
        with open_zip(path, limits=limits) as archive:
            check_torch_archive(archive, who=str(path))
    elif not legacy:
        raise SampleError(
            f"{path}: a file of torch.save (1.6 or newer) expected; load it where it was made with weights_only=True "
            "and save it anew."
        )
    return _load_plain(path)


def check_torch_archive(archive: zipfile.ZipFile, *, who: str) -> None:
    """Refuse an archive that torch.save would not have written, and that would take more memory than it has bytes.

    Raises
    ------
    SampleError
        If a member is compressed, or the pickle makes byte arrays.
    """
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise SampleError(f"{who}: member {member.filename!r} is compressed; save it anew with torch.save.")
        if member.filename.endswith("data.pkl") and ALLOCATOR in archive.read(member):
            raise SampleError(f"{who}: holds a {ALLOCATOR.decode()}, which is not loaded; save tensors only.")


def _load_plain(path: Path) -> Any:
    """Load tensors and plain values, and nothing else."""
    archive = zipfile.is_zipfile(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except pickle.UnpicklingError as error:
        doubt = "" if archive else ", or is damaged"  # in a file without checksums they look alike
        raise SampleError(
            f"{path}: holds Python objects, which could run code when they are loaded and never are{doubt}; save plain "
            "tensors (model.state_dict(), or the tensor itself)."
        ) from error


def _samples(found: Any, limits: Limits, *, who: str) -> NDArray[Any]:
    if isinstance(found, Mapping):
        tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
        found = tensors[samples_key(list(tensors), who=who)]
    if not isinstance(found, Tensor):
        raise SampleError(
            f"{who}: a tensor, or a dict of tensors, expected, got {type(found).__name__}; save the samples themselves."
        )
    return tensor_array(found, limits, who=who)


def tensor_array(tensor: Tensor, limits: Limits, *, who: str) -> NDArray[Any]:
    """See a tensor as an array; the memory is shared where numpy has the dtype.

    Raises
    ------
    SampleError
        If the tensor is empty, sparse, complex, quantized, without data, or claims more values than it has bytes for.
    """
    tensor = tensor.detach()
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.device.type == "meta":
        raise SampleError(f"{who}: a dense tensor of real numbers expected, got {tensor.dtype}, {tensor.layout}.")
    if tensor.dim() < 1 or tensor.numel() < 1:
        raise SampleError(f"{who}: holds no samples (shape {tuple(tensor.shape)}); generate some.")
    size = tensor.numel() * tensor.element_size()
    if size > tensor.untyped_storage().nbytes():  # a view with stride 0 has any number of values for nothing
        raise SampleError(
            f"{who}: {size:,} bytes of {tensor.dtype} {tuple(tensor.shape)} expected, "
            f"got {tensor.untyped_storage().nbytes():,}; save tensor.clone()."
        )
    tensor = tensor.cpu()
    if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        limits.check("array_bytes", 4 * tensor.numel(), who=who)
        tensor = tensor.to(torch.float32)
    array: NDArray[Any] = tensor.numpy()
    return array
