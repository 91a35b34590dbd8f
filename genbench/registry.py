"""Names to objects: a lazy built-in map, entry points of other distributions, and ``module:attr``.

Nothing is imported until it is asked for, so that ``genbench list`` needs no torch.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from genbench.errors import DeclarationError, UnknownNameError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One registered name: where the object is, what it does in a few words, and who provides it."""

    name: str
    target: str
    summary: str
    provider: str


class Registry:
    """One kind of named objects.

    Parameters
    ----------
    kind : str
        For messages: ``"metric"``.
    group : str
        Entry-point group that other distributions register in: ``"genbench.metrics"``.
    builtin : mapping of str to (target, summary)
        ``{"fd": ("genbench.metrics.frechet:FD", "Fréchet distance ...")}``.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, tuple[str, str]] | None = None) -> None:
        self.kind = kind
        self.group = group
        self._builtin = {
            name: Entry(name=name, target=target, summary=summary, provider="genbench")
            for name, (target, summary) in (builtin or {}).items()
        }

    def entries(self) -> dict[str, Entry]:
        """Return every registered name, sorted, without importing any of them.

        Raises
        ------
        DeclarationError
            If two distributions, or a distribution and genbench itself, claim one name.
        """
        known = dict(self._builtin)
        for point in installed_entry_points(self.group):
            entry = Entry(name=point.name, target=point.value, summary="", provider=_distribution(point))
            other = known.get(point.name)
            if other is not None and other.target != entry.target:
                raise DeclarationError(
                    f"{self.kind} {point.name!r} is registered by both {other.provider} ({other.target}) and "
                    f"{entry.provider} ({entry.target}); uninstall one of them."
                )
            known.setdefault(point.name, entry)
        return dict(sorted(known.items()))

    def load(self, name: str) -> Any:
        """Import and return the object of a name.

        Parameters
        ----------
        name : str
            A registered name, or ``package.module:attribute``.

        Raises
        ------
        UnknownNameError
            If nothing has that name; the message suggests the nearest that exists.
        DeclarationError
            If the name is registered but its object cannot be imported.
        """
        if ":" in name:
            with _current_folder_importable():
                return self._import(name, owner=f"{self.kind} {name!r}")
        entry = self._builtin.get(name) or self.entries().get(name)
        if entry is None:
            raise unknown_name(self.kind, name, self.entries())
        return self._import(entry.target, owner=f"{self.kind} {name!r} of {entry.provider}")

    def _import(self, target: str, *, owner: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError, ValueError) as error:
            raise DeclarationError(
                f"{owner}: cannot import {target!r} ({error}); expected 'module:attribute'."
            ) from error
        return found


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    """Let a module that the user named by hand lie in the current folder; at the end of the path, and only meanwhile.

    Never for other names: a file that happens to be called like an optional dependency must not run.
    """
    folder = os.getcwd()
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def unknown_name(kind: str, name: str, known: Mapping[str, Any]) -> UnknownNameError:
    """Make the error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(known)) or 'none'}.")


@cache
def installed_entry_points(group: str) -> EntryPoints:
    """Scan the installed distributions for a group, once a process: a scan takes tens of milliseconds."""
    return entry_points(group=group)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unnamed distribution"


METRICS = Registry(
    "metric",
    "genbench.metrics",
    {
        "fd": ("genbench.metrics.frechet:FD", "Fréchet distance between Gaussian fits"),
        "fd_infinity": (
            "genbench.metrics.frechet_infinity:FD_INFINITY",
            "Fréchet distance extrapolated in 1/N; for comparison only",
        ),
        "is": ("genbench.metrics.inception:IS", "Inception Score of class probabilities"),
        "is_splits": (
            "genbench.metrics.inception_splits:IS_SPLITS",
            "Inception Score over ten splits, as published; for comparison only",
        ),
        "kd": ("genbench.metrics.kernel:KD", "kernel distance: unbiased squared MMD, cubic kernel, all pairs"),
        "kd_subsets": (
            "genbench.metrics.kernel_subsets:KD_SUBSETS",
            "kernel distance over random subsets, as published; for comparison only",
        ),
        "mmd_rbf": (
            "genbench.metrics.kernel:MMD_RBF",
            "unbiased squared MMD, Gaussian kernel at the reference's median distance",
        ),
        "mmd_test": (
            "genbench.metrics.kernel_permutation:MMD_TEST",
            "permutation test of equal distributions by squared MMD",
        ),
        "w1": ("genbench.metrics.transport:W1", "exact Wasserstein-1 distance"),
        "w2": ("genbench.metrics.transport:W2", "exact Wasserstein-2 distance"),
        "kl_knn": ("genbench.metrics.divergence:KL_KNN", "KL(generated || reference) from nearest neighbours"),
        "kl_knn_reverse": (
            "genbench.metrics.divergence:KL_KNN_REVERSE",
            "KL(reference || generated) from nearest neighbours",
        ),
        "kl_class": ("genbench.metrics.class_divergence:KL_CLASS", "KL(generated || reference) of the class marginals"),
        "kl_class_reverse": (
            "genbench.metrics.class_divergence:KL_CLASS_REVERSE",
            "KL(reference || generated) of the class marginals, smoothed",
        ),
        "js_class": (
            "genbench.metrics.class_divergence:JS_CLASS",
            "Jensen-Shannon divergence of the class marginals",
        ),
        "js_classifier": (
            "genbench.metrics.classifier:JS_CLASSIFIER",
            "lower bound of the Jensen-Shannon divergence from a held-out classifier",
        ),
        "kl_dv": ("genbench.metrics.classifier:KL_DV", "Donsker-Varadhan lower bound of KL(generated || reference)"),
        "kl_nwj": ("genbench.metrics.classifier:KL_NWJ", "NWJ lower bound of KL(generated || reference)"),
        "kl_gaussian": ("genbench.metrics.gaussian_kl:KL_GAUSSIAN", "KL(generated || reference) of Gaussian fits"),
        "kl_log_prob": ("genbench.metrics.known_density:KL_LOG_PROB", "KL(generated || truth) with the known density"),
        "cross_entropy": (
            "genbench.metrics.known_density:CROSS_ENTROPY",
            "cross-entropy of the samples under the known density",
        ),
        "entropy_gap_knn": (
            "genbench.metrics.entropy:ENTROPY_GAP_KNN",
            "differential entropy of the samples less the reference's",
        ),
        "unique_fraction": ("genbench.metrics.diversity:UNIQUE_FRACTION", "share of distinct samples"),
        "rke": ("genbench.metrics.diversity:RKE", "order-2 kernel diversity over the reference's"),
        "vendi": ("genbench.metrics.vendi:VENDI", "Vendi score at a fixed n"),
        "modes_class": ("genbench.metrics.class_modes:MODES_CLASS", "classes with at least one sample"),
        "modes_class_share": (
            "genbench.metrics.class_modes:MODES_CLASS_SHARE",
            "classes with at least a fifth of the reference's share",
        ),
        "entropy_knn": (
            "genbench.metrics.entropy:ENTROPY_KNN",
            "differential entropy of the samples from nearest neighbours",
        ),
        "entropy_class": ("genbench.metrics.entropy:ENTROPY_CLASS", "entropy of the samples' classes"),
        "precision": (
            "genbench.metrics.neighbours:PRECISION",
            "share of generated samples inside the reference manifold",
        ),
        "recall": ("genbench.metrics.neighbours:RECALL", "share of reference samples inside the generated manifold"),
        "density": ("genbench.metrics.neighbours:DENSITY", "how many reference neighbourhoods hold a generated sample"),
        "coverage": (
            "genbench.metrics.neighbours:COVERAGE",
            "share of reference neighbourhoods that hold a generated sample",
        ),
        "sliced_w2": ("genbench.metrics.sliced:SLICED_W2", "sliced Wasserstein-2 distance over random lines"),
        "mind": ("genbench.metrics.sliced:MIND", "Monge Inception Distance's formula on any features"),
        "max_sliced_w2": ("genbench.metrics.max_sliced:MAX_SLICED_W2", "Wasserstein-2 on the widest line, held out"),
        "sinkhorn": ("genbench.metrics.sinkhorn:SINKHORN", "debiased Sinkhorn divergence"),
        "precision_symmetric": (
            "genbench.metrics.neighbours:PRECISION_SYMMETRIC",
            "smaller of precision and its complement",
        ),
        "recall_symmetric": ("genbench.metrics.neighbours:RECALL_SYMMETRIC", "smaller of recall and its complement"),
        "label_test": (
            "genbench.metrics.memorization:LABEL_TEST",
            "share of samples nearest to a training sample, with an exact test of memorization",
        ),
        "c_t": (
            "genbench.metrics.closeness:C_T",
            "closeness to train against held-out samples, per region, unit variance",
        ),
        "auth_pct": ("genbench.metrics.closeness:AUTH_PCT", "share of authentic samples, calibrated on held-out ones"),
        "lower_tail_copies": (
            "genbench.metrics.copying:LOWER_TAIL_COPIES",
            "generated share among the samples closest to train, exact test",
        ),
        "nn_distance_ratio": (
            "genbench.metrics.copying:NN_DISTANCE_RATIO",
            "median distance to train over distance to held-out",
        ),
        "copy_rate": ("genbench.metrics.copying:COPY_RATE", "share nearer to train than 99% of held-out samples are"),
        "knn_two_sample": (
            "genbench.metrics.two_sample:KNN_TWO_SAMPLE",
            "nearest-neighbour two-sample test with exact moments",
        ),
        "c2st": ("genbench.metrics.two_sample:C2ST", "accuracy of a cross-fitted linear two-sample classifier"),
        "ndb": ("genbench.metrics.bins:NDB", "share of bins whose shares differ, with a joint chi-square p"),
        "birthday_support": ("genbench.metrics.birthday:BIRTHDAY_SUPPORT", "support size from near-duplicate pairs"),
        "modes": ("genbench.metrics.modes:MODES", "modes of the known mixture with a high-quality sample"),
        "modes_share": ("genbench.metrics.modes:MODES_SHARE", "modes that get at least a fifth of their due share"),
        "high_quality": ("genbench.metrics.modes:HIGH_QUALITY", "share of samples as near to a mode as true ones are"),
        "kl_modes": ("genbench.metrics.modes:KL_MODES", "KL(generated || truth) of the mode shares"),
    },
)

EXTRACTORS = Registry(
    "extractor",
    "genbench.extractors",
    {
        "identity": ("genbench.extractors.identity:Identity", "the samples themselves; pixels in [0, 1], flattened"),
        "digits-cnn": (
            "genbench.extractors.digits_cnn:DigitsCNN",
            "a small classifier of 8x8 digits, shipped with its weights",
        ),
    },
)

DATASETS = Registry(
    "dataset",
    "genbench.datasets",
    {
        "digits": ("genbench.data.digits:digits", "1,797 real handwritten digits, 8x8 pixels"),
        "ring8": ("genbench.data.toy:ring8", "eight Gaussians on a ring, density known"),
        "grid25": ("genbench.data.toy:grid25", "twenty-five Gaussians on a grid, density known"),
    },
)

SAMPLERS = Registry("sampler", "genbench.samplers")

BASELINES = Registry("baseline", "genbench.baselines")
