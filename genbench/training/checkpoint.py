"""Training states on disk: complete, verified, of one identity, and data rather than code."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import pickle
from typing import Any

import torch

from genbench.atomic import write_atomic
from genbench.errors import DeclarationError, ProtocolError, SetupError
from genbench.storage import Place, rename

MAGIC = b"genbench training state 1\n"
"""How every training state begins."""

_DIGEST = hashlib.sha256().digest_size

_log = logging.getLogger(__name__)


def identity(
    baseline: Any, *, seed: int, steps: int, batch: int, data: str, device: torch.device
) -> dict[str, str | int]:
    """Name everything that decides what a training computes; two trainings with one identity are the same one.

    Parameters
    ----------
    baseline : Baseline
        A dataclass, whose options are its fields; of any other object the ``repr`` is taken.
    data : str
        Fingerprint of the dataset.
    device : torch.device
        Of which only the type counts: a CPU does not continue exactly what a GPU began.
    """
    kind = type(baseline)
    plain = dataclasses.is_dataclass(baseline) and not isinstance(baseline, type)
    options = dataclasses.asdict(baseline) if plain else repr(baseline)
    return {
        "recipe": f"{kind.__module__}.{kind.__qualname__} {options}",
        "seed": seed,
        "steps": steps,
        "batch": batch,
        "data": data,
        "device": device.type,
    }


def model_record(
    baseline: Any, *, event_shape: tuple[int, ...], image: bool, scale: float, classes: int | None = None
) -> dict[str, Any]:
    """Return what is needed to rebuild a model from its state: recipe, options, shape, and the scaling of its data.

    Parameters
    ----------
    baseline : Baseline
        A dataclass, whose options are its fields; the model of any other object cannot be rebuilt.
    event_shape : tuple of int
        (C, H, W) or (d,).
    image, scale
        As `genbench.training.scaling.Scaling` has them.
    classes : int or None
        That a conditional model was told of.
    """
    kind = type(baseline)
    plain = dataclasses.is_dataclass(baseline) and not isinstance(baseline, type)
    return {
        "recipe": f"{kind.__module__}:{kind.__qualname__}",
        "options": dataclasses.asdict(baseline) if plain else {},
        "event_shape": tuple(event_shape),
        "image": image,
        "scale": scale,
        "classes": classes,
    }


def save_state(path: Place, whose: dict[str, str | int], state: dict[str, Any]) -> None:
    """Write a training state atomically, with its digest.

    Parameters
    ----------
    path : Path or Remote
        Where to.
    whose : dict
        As `identity` gives it.
    state : dict
        Tensors and plain values, in nested dicts, lists and tuples.

    Raises
    ------
    SetupError
        If the place cannot be written to.
    """
    buffer = io.BytesIO()
    torch.save({"identity": whose, "state": state}, buffer)
    payload = buffer.getvalue()
    write_atomic(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def load_state(path: Place, whose: dict[str, str | int], device: torch.device) -> dict[str, Any] | None:
    """Read a training state back, or return None where there is none to continue from.

    A file that is not whole is renamed to ``<name>.corrupt`` with a warning in the log, and counts as none. Its digest
    is checked before anything of it is interpreted: torch does not check the sums in its own files.

    Raises
    ------
    ProtocolError
        If the state is that of another training.
    DeclarationError
        If the state holds objects, which could run code when they are loaded.
    SetupError
        If the file cannot be read or renamed.
    """
    payload = read_payload(path)
    if payload is None:
        if path.exists():
            _set_aside(path)
        return None
    document = parse_document(path, payload, device)
    _check_identity(path, document["identity"], whose)
    state: dict[str, Any] = document["state"]
    return state


def read_payload(path: Place) -> bytes | None:
    """Read a training state without interpreting it; None where there is none, or not a whole one.

    Raises
    ------
    SetupError
        If the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror or error}; make it readable or remove it.") from error
    start = len(MAGIC) + _DIGEST
    payload = content[start:]
    return payload if content[:start] == MAGIC + hashlib.sha256(payload).digest() else None


def parse_document(path: Place, payload: bytes, device: torch.device) -> dict[str, Any]:
    """Interpret a whole training state: its ``identity`` and its ``state``.

    Raises
    ------
    DeclarationError
        If the state holds objects, which could run code when they are loaded.
    """
    try:
        document: dict[str, Any] = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise DeclarationError(
            f"{path}: a training state must hold tensors and plain values only, got something else ({error}); "
            "correct the baseline's state_dict."
        ) from error
    return document


def _set_aside(path: Place) -> None:
    aside = f"{path.name}.corrupt"
    try:
        rename(path, aside)
    except OSError as error:
        raise SetupError(f"cannot rename the damaged {path}: {error.strerror or error}; remove it.") from error
    _log.warning("%s is damaged; it was renamed to %s and the training starts from the beginning.", path, aside)


def _check_identity(path: Place, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key in {**wanted, **found}:
        if found.get(key) != wanted.get(key):
            raise ProtocolError(
                f"{path}: holds a training with {key} = {found.get(key)!r}, expected {wanted.get(key)!r}; "
                "choose another folder or remove the file."
            )
