"""Real data and known truths, in two disjoint splits: one file per family, one function per dataset."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from genbench.definitions import Dataset
from genbench.errors import DeclarationError, UsageError
from genbench.registry import DATASETS, unknown_name

_FILES = ("root", "download")


def load_dataset(name: str, /, **options: Any) -> Dataset:
    """Load a dataset by name.

    Parameters
    ----------
    name : str
        A registered name, or ``package.module:attribute`` of a function that returns a `Dataset`.
    **options
        Keyword options of that function, such as ``root`` and ``download``, or ``path`` and ``held_out``.

    Returns
    -------
    Dataset
        Treat its arrays as read-only.

    Raises
    ------
    UnknownNameError
        If there is no such dataset or option.
    UsageError
        If an option is missing or of the wrong type.
    SetupError
        If files of the dataset are missing or damaged.
    SampleError
        If the data cannot be used as they are.

    Examples
    --------
    >>> load_dataset("digits").train.shape
    (1198, 1, 8, 8)
    """
    factory = DATASETS.load(name)
    _check_options(name, factory, options)
    dataset = factory(**options)
    if not isinstance(dataset, Dataset):
        raise DeclarationError(f"dataset {name!r}: a genbench Dataset expected, got {type(dataset).__name__}.")
    return dataset


def _check_options(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse what the factory's signature does not have, before anything is read."""
    parameters = inspect.signature(factory).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    for key in options if not open_ended else ():
        if key not in parameters:
            if key in _FILES:
                raise UsageError(
                    f"dataset {name!r}: has no published files to look for in a root or to download; leave "
                    f"--{'data-root' if key == 'root' else key} out (its options: {', '.join(parameters) or 'none'})."
                )
            raise unknown_name(f"option of dataset {name!r}", key, parameters)
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind is parameter.KEYWORD_ONLY
        if required and key not in options:
            raise UsageError(f"dataset {name!r}: the option {key!r} is missing; give it in [data].")
    hints = typing.get_type_hints(inspect.unwrap(factory))
    for key, value in options.items():
        if key in hints and not _fits(value, hints[key]):
            wanted = str(parameters[key].annotation).replace("|", "or")
            raise UsageError(f"dataset {name!r}: {key} must be {wanted}, got {value!r}.")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value from a TOML file or the command line can be meant by an annotation."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, member) for member in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    kind = typing.get_origin(hint) or hint
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(kind, type) or isinstance(value, kind)
