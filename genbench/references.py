"""References of the user's own: real samples or their statistics in files, in place of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genbench.benchmarks import check_spaces, metric_spec, with_options
from genbench.definitions import Benchmark, Dataset
from genbench.errors import SampleError, UsageError
from genbench.files.arrays import read_named
from genbench.files.formats import ARRAYS, TARS, split_suffix
from genbench.files.images import FolderImages, ZipImages
from genbench.files.limits import LIMITS, Limits
from genbench.files.peek import shape_of_array, shape_of_images
from genbench.files.tars import TarImages, is_gzip
from genbench.load import load_sampler
from genbench.metrics.catalogue import read_catalogue
from genbench.metrics.moments import Statistics
from genbench.registry import METRICS
from genbench.sampling.blocks import FiniteSampler

BLOCK = 1024
"""Real samples that are read at a time."""

MOST = 10_000
"""How many samples a generator without end is asked for, unless told."""

Samples = str | Path | np.ndarray[Any, Any] | Tensor
"""Real samples: a file or folder that holds a finite set, or the samples themselves."""

DEFAULTS = ("fd", "kd", "precision", "recall", "density", "coverage")
"""Scored by default where no metric is named."""

SPACES = {"images": "pca", "vectors": "identity"}
"""The extractor for metrics that name no space."""


def read_statistics(source: Samples, *, n: int | None, limits: Limits = LIMITS) -> Statistics | None:
    """Read an .npz of ``mu`` and ``sigma``, and of ``n`` where it says so; None if the source is something else.

    Parameters
    ----------
    source : str, Path or array
    n : int or None
        How many samples the statistics are of, where the file does not say.
    limits : Limits
        What the file may ask for.

    Raises
    ------
    UsageError
        If n is neither in the file nor given.
    SampleError
        If the file is damaged, or the arrays cannot be a mean and a covariance.
    """
    path = Path(source) if isinstance(source, (str, Path)) else None
    if path is None or path.suffix.lower() != ".npz" or not path.is_file():
        return None
    found = read_named(path, ("mu", "sigma"), counts=("n", "num_samples"), limits=limits)
    if found is None:
        return None
    (mean, covariance), count = found
    known = n if count is None else count
    if known is None:
        raise UsageError(f"{path}: holds mu and sigma, but not of how many samples; pass --reference-n.")
    return Statistics(known, mean, covariance)


def event_shape_of(source: Any, *, layout: str | None = None, limits: Limits = LIMITS) -> tuple[int, ...]:
    """Find the shape of one sample in a folder, archive, array file or array: (C, H, W) or (d,).

    Raises
    ------
    UsageError
        If the source is of another form, which does not tell.
    SampleError
        If it cannot be read, or has two readings.
    """
    if isinstance(source, (np.ndarray, Tensor)):
        return shape_of_array(source, layout, who="array")
    path = Path(source) if isinstance(source, (str, Path)) else Path("-")
    if path.is_dir():
        return shape_of_images(FolderImages(path, limits=limits))
    suffix, _ = split_suffix(path)
    if path.is_file() and suffix == ".zip":
        return shape_of_images(ZipImages(path, limits=limits))
    if path.is_file() and suffix in TARS:
        if is_gzip(path):
            raise UsageError(
                f"{path}: a plain tar is expected for real samples, got a compressed one; gunzip it first."
            )
        return shape_of_images(TarImages(path, limits=limits))
    if path.is_file() and suffix in ARRAYS:
        return shape_of_array(ARRAYS[suffix](path, limits), layout, who=str(path))
    raise UsageError(
        f"reference: a folder, .zip or .tar of images, or one of {', '.join(ARRAYS)} expected, got {str(source)!r}; "
        "check the path."
    )


def read_reference(source: Samples, event_shape: tuple[int, ...], **declared: Any) -> np.ndarray[Any, Any]:
    """Read real samples, in any form that holds a finite set: uint8 images or float32 vectors, (n, *event).

    ``declared`` is what `genbench.load_sampler` takes; a declared range is that of images that are not uint8.

    Raises
    ------
    UsageError
        If the source is a generator, which could give no fixed reference.
    SampleError
        If it cannot be read.
    """
    found = _in_range(source, event_shape, **declared)
    if not isinstance(found, FiniteSampler):
        raise UsageError(f"{source}: a reference is a finite set of real samples, got a generator; save some of its.")
    dtype = np.uint8 if len(event_shape) == 3 else np.float32
    samples = np.empty((len(found), *event_shape), dtype=dtype)
    for start in range(0, len(found), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(found)))
        samples[rows[0] : rows[-1] + 1] = found.rows(rows).numpy()
    return samples


def _in_range(source: Samples, event_shape: tuple[int, ...], **declared: Any) -> Any:
    """Load real samples in the declared range; what does not lie in it may be uint8, which needs no declaration.

    The range is declared of generated samples too, and real images in files are uint8 whatever a generator gives.
    """
    try:
        return load_sampler(source, event_shape=event_shape, **declared)
    except (UsageError, SampleError):
        if declared.pop("value_range", None) is None:
            raise
        with suppress(UsageError, SampleError):
            return load_sampler(source, event_shape=event_shape, **declared)
        raise


def reference_dataset(name: str, reference: np.ndarray[Any, Any], held_out: np.ndarray[Any, Any] | None) -> Dataset:
    """Make a dataset of one set of real samples, or of two of which the second was never shown to a model.

    Raises
    ------
    SampleError
        If the two are of different shapes.
    """
    if held_out is not None and held_out.shape[1:] != reference.shape[1:]:
        raise SampleError(
            f"{name}: reference and held-out samples of one shape expected, got {reference.shape[1:]} and "
            f"{held_out.shape[1:]}."
        )
    return Dataset(name=name, train=reference, test=reference[:0] if held_out is None else held_out)


def reference_benchmark(
    dataset: Dataset, *, n: int, metrics: Sequence[str], extractor: str | None, options: Mapping[str, Mapping[str, Any]]
) -> Benchmark:
    """Make a protocol for a reference of the user's own.

    Parameters
    ----------
    dataset : Dataset
    n : int
        Generated samples to be scored.
    metrics : sequence of str
        Keys, or names alone, which are read in the default space; none is `DEFAULTS`.
    extractor : str or None
        The default space's; None is ``pca`` for images, ``identity`` for vectors.
    options : mapping
        Of extractors, by name.
    """
    extractor = extractor or SPACES["images" if len(dataset.event_shape) == 3 else "vectors"]
    specs = tuple(metric_spec(full_key(key, extractor), {}, "--metric") for key in metrics or DEFAULTS)
    benchmark = Benchmark(
        name="reference",
        version=1,
        quick=False,
        dataset=dataset.name,
        n=n,
        seeds=(),
        checkpoints=1,
        primary=specs[0].key,
        metrics=specs,
        curve=(specs[0].key,),
        baselines={},
    )
    check_spaces(benchmark)
    return with_options(benchmark, data={}, extractors=options)


def full_keys(keys: Sequence[str], benchmark: Benchmark, extractor: str | None) -> list[str]:
    """Complete metrics' names as `full_key` does, by default with the extractor of a benchmark's primary metric."""
    space = extractor or benchmark.primary.partition("@")[2].rpartition(".")[0]
    return [full_key(key, space) for key in keys]


def full_key(key: str, extractor: str) -> str:
    """Complete a metric's name with the space that it is read in: ``fd`` to ``fd@pca.pool``."""
    if "@" in key:
        return key
    name = key.partition(":")[0]
    known = read_catalogue()
    if name not in known and ":" not in key:
        METRICS.load(name)  # a plugin's, or a misspelt one, which is then refused
    facts = known.get(name, {"space": "pool", "reserved": None})
    return f"{key}@{facts['reserved'] or f'{extractor}.' + facts['space']}"
