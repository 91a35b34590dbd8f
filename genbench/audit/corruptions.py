"""Controlled corruptions of samples: each does one known thing, more of it the higher its severity.

Severity 0 returns the first n samples as they are. The rows that a corruption touches at one severity are among those
that it touches at a higher one with the same seed, so that a ladder of severities is climbed by one set of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from genbench.controls import near_copies
from genbench.errors import SampleError, UsageError
from genbench.randomness import derive_seed
from genbench.registry import unknown_name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """What corrupted samples are made of.

    Attributes
    ----------
    samples : (m, *event) array
        Images uint8 (m, C, H, W) or vectors float32 (m, d), in random order; the first n are what is corrupted, the
        others stand in for classes that are dropped.
    labels : (m,) int64 array
        Their classes.
    train : (k, *event) array
        What a generator that copies has copied.
    train_labels : (k,) int64 array
    foreign : (f, *event) array
        Samples of something else.
    n : int
        How many samples are returned, at most m.
    """

    samples: NDArray[Any]
    labels: NDArray[np.int64]
    train: NDArray[Any]
    train_labels: NDArray[np.int64]
    foreign: NDArray[Any]
    n: int


class Labelled(NamedTuple):
    """Samples (n, *event), of the shape and dtype that they had, and the classes that they are said to be of, (n,)."""

    samples: NDArray[Any]
    labels: NDArray[np.int64]


Corruption = Callable[..., Labelled]
"""Takes a `Material`, the severity in [0, 1] and a keyword ``seed``."""


def corrupt(name: str, given: Material, severity: float, *, seed: int) -> Labelled:
    """Corrupt samples.

    Parameters
    ----------
    name : str
        A key of `CORRUPTIONS`.
    given : Material
    severity : float
        In [0, 1]; 0 changes nothing.
    seed : int
        Of the rows, classes and noise that are chosen; the same for all severities of a ladder.

    Raises
    ------
    UnknownNameError
        If there is no such corruption.
    UsageError
        If the severity is outside of [0, 1].
    SampleError
        If the material has too few samples for what is asked.
    """
    if name not in CORRUPTIONS:
        raise unknown_name("corruption", name, CORRUPTIONS)
    if not 0 <= severity <= 1:
        raise UsageError(f"{name}: a severity from 0 to 1 expected, got {severity:g}.")
    return CORRUPTIONS[name](given, severity, seed=seed)


def mode_drop(given: Material, severity: float, *, seed: int) -> Labelled:
    """Drop a share of the classes, the last of them in part, and draw more of the others."""
    classes = np.unique(given.labels)
    order = _rng(seed, "mode drop").permutation(len(classes))
    weights = np.clip(order + 1 - severity * len(classes), 0.0, 1.0)
    return _thinned(given, dict(zip(classes.tolist(), weights, strict=True)), seed=seed, who="mode drop")


def imbalance(given: Material, severity: float, *, seed: int) -> Labelled:
    """Leave half of the classes, the rarer ones, only 1 - severity of their frequency."""
    classes = np.unique(given.labels)
    order = _rng(seed, "imbalance").permutation(len(classes))
    weights = np.where(order < len(classes) // 2, 1.0 - severity, 1.0)
    return _thinned(given, dict(zip(classes.tolist(), weights, strict=True)), seed=seed, who="imbalance")


def noise(given: Material, severity: float, *, seed: int) -> Labelled:
    """Add independent normal noise of ``severity`` times the deviation within classes."""
    samples, labels = _clean(given)
    within = np.concatenate([given.samples[given.labels == c] - m for c, m in _class_means(given).items()])
    added = severity * float(within.std()) * _rng(seed, "noise").standard_normal(samples.shape)
    return Labelled(_like(samples + added, samples), labels)


def blur(given: Material, severity: float, *, seed: int) -> Labelled:
    """Take away ``severity`` of the fine half: of an image's frequencies, or of vectors' principal axes."""
    samples, labels = _clean(given)
    wide = samples.astype(np.float64)
    if samples.ndim == 4:
        rows, columns = np.indices(samples.shape[2:])
        order = rows / samples.shape[2] + columns / samples.shape[3]
        spectrum = dctn(wide, axes=(2, 3), norm="ortho") * (order > np.median(order))
        fine = idctn(spectrum, axes=(2, 3), norm="ortho")
    else:
        centred = given.samples - given.samples.mean(axis=0, dtype=np.float64)
        _, axes = np.linalg.eigh(centred.T @ centred)  # the smallest variance first
        axes = axes[:, : axes.shape[1] // 2]
        fine = (wide - given.samples.mean(axis=0, dtype=np.float64)) @ axes @ axes.T
    return Labelled(_like(wide - severity * fine, samples), labels)


def shrink(given: Material, severity: float, *, seed: int) -> Labelled:
    """Move every sample ``severity`` of the way to the mean of its class, as truncation does."""
    samples, labels = _clean(given)
    means = _class_means(given)
    centres = np.stack([means[label] for label in labels.tolist()])
    return Labelled(_like(samples - severity * (samples - centres), samples), labels)


def collapse(given: Material, severity: float, *, seed: int) -> Labelled:
    """Replace a share of the samples by one and the same sample of their class."""
    samples, labels = _clean(given)
    rows = _share(given, severity, seed=seed, who="collapse")
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    samples[rows] = samples[first[inverse[rows]]]
    return Labelled(samples, labels)


def duplicates(given: Material, severity: float, *, seed: int) -> Labelled:
    """Replace a share of the samples by copies of others of the set."""
    samples, labels = _clean(given)
    rows = _share(given, severity, seed=seed, who="duplicates")
    others = np.setdiff1d(np.arange(given.n), rows)
    if len(others):
        sources = others[_rng(seed, "sources").integers(len(others), size=len(rows))]
        samples[rows], labels[rows] = samples[sources], labels[sources]
    else:
        samples[rows], labels[rows] = samples[rows[:1]], labels[rows[:1]]
    return Labelled(samples, labels)


def copies(given: Material, severity: float, *, seed: int) -> Labelled:
    """Replace a share of the samples by different training samples."""
    samples, labels = _clean(given)
    rows, sources = _copied(given, severity, seed=seed)
    samples[rows], labels[rows] = given.train[sources], given.train_labels[sources]
    return Labelled(samples, labels)


def near(given: Material, severity: float, *, seed: int) -> Labelled:
    """Replace a share of the samples by different training samples with a little noise (`genbench.controls`)."""
    samples, labels = _clean(given)
    rows, sources = _copied(given, severity, seed=seed)
    noisy, _ = near_copies(given.train, seed=derive_seed(seed, "near copies"))
    samples[rows], labels[rows] = noisy[sources], given.train_labels[sources]
    return Labelled(samples, labels)


def foreign(given: Material, severity: float, *, seed: int) -> Labelled:
    """Replace a share of the samples by samples of something else."""
    samples, labels = _clean(given)
    rows = _share(given, severity, seed=seed, who="foreign")
    if len(rows) > len(given.foreign):
        raise SampleError(f"foreign: at least {len(rows)} foreign samples expected, got {len(given.foreign)}.")
    samples[rows] = given.foreign[: len(rows)]
    return Labelled(samples, labels)


def label_noise(given: Material, severity: float, *, seed: int) -> Labelled:
    """Call a share of the samples by the name of another class; the samples stay as they are."""
    samples, labels = _clean(given)
    rows = _share(given, severity, seed=seed, who="label noise")
    classes, place = np.unique(labels, return_inverse=True)
    if len(classes) > 1:
        steps = _rng(seed, "other classes").integers(1, len(classes), size=given.n)
        labels[rows] = classes[(place[rows] + steps[rows]) % len(classes)]
    return Labelled(samples, labels)


CORRUPTIONS: Mapping[str, Corruption] = {
    "mode drop": mode_drop,
    "imbalance": imbalance,
    "noise": noise,
    "blur": blur,
    "shrink": shrink,
    "collapse": collapse,
    "duplicates": duplicates,
    "copies": copies,
    "near copies": near,
    "label noise": label_noise,
    "foreign": foreign,
}
"""In the order in which tables show them."""


def _rng(seed: int, *purpose: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, "corruption", *purpose))


def _clean(given: Material) -> Labelled:
    if len(given.samples) < given.n:
        raise SampleError(f"corruption: at least n = {given.n} samples expected, got {len(given.samples)}.")
    return Labelled(given.samples[: given.n].copy(), given.labels[: given.n].copy())


def _share(given: Material, severity: float, *, seed: int, who: str) -> NDArray[np.int64]:
    """Choose a share of the n rows, in random order."""
    return _rng(seed, who).permutation(given.n)[: round(severity * given.n)]


def _copied(given: Material, severity: float, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = _share(given, severity, seed=seed, who="copies")
    if len(rows) > len(given.train):
        raise SampleError(f"copies: at least {len(rows)} training samples expected, got {len(given.train)}.")
    return rows, _rng(seed, "copied").permutation(len(given.train))[: len(rows)]


def _thinned(given: Material, weights: Mapping[int, float], *, seed: int, who: str) -> Labelled:
    """Keep every sample with the weight of its class, and return the first n of those."""
    luck = _rng(seed, who, "luck").random(len(given.labels))
    kept = np.flatnonzero(luck < np.array([weights[label] for label in given.labels.tolist()]))[: given.n]
    if len(kept) < given.n:
        raise SampleError(f"{who}: {given.n} samples of the classes that stay expected, got {len(kept)}; give more.")
    return Labelled(given.samples[kept], given.labels[kept])


def _class_means(given: Material) -> dict[int, NDArray[np.float64]]:
    """Return the mean of every class over all the material, (*event) each."""
    return {
        label: given.samples[given.labels == label].mean(axis=0, dtype=np.float64)
        for label in np.unique(given.labels).tolist()
    }


def _like(values: NDArray[np.float64], samples: NDArray[Any]) -> NDArray[Any]:
    """Return values in the dtype of samples; those of images rounded and clipped to [0, 255]."""
    if samples.dtype == np.uint8:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return values.astype(samples.dtype)
