"""Metrics that are broken on purpose, each in one way that has been published, and what of the audit must see it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from genbench.metrics.entropy import entropy_class
from genbench.metrics.features import Features
from genbench.metrics.frechet import fd
from genbench.metrics.gaussian_kl import kl_gaussian
from genbench.metrics.inception import inception_score
from genbench.metrics.kernel import kd
from genbench.metrics.known_density import cross_entropy
from genbench.metrics.memorization import label_test
from genbench.metrics.metric import Metric
from genbench.metrics.neighbours import coverage, precision, recall
from genbench.metrics.transport import wasserstein
from genbench.records import Estimate
from genbench.registry import METRICS
from genbench.stats.jackknife import values_alone


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A broken metric, the case that must catch it (empty: what is asked of any metric), and under which part."""

    metric: Metric
    case: str
    part: str


def changed(estimate: Estimate, by) -> Estimate:
    """All numbers of an estimate, changed alike."""
    fields = ("value", "debiased", "low", "high", "null")
    return replace(estimate, **{f: None if getattr(estimate, f) is None else by(getattr(estimate, f)) for f in fields})


def array(features) -> np.ndarray:
    return Features.of(features).values.numpy()


def moments(features):
    x = array(features)
    return x.mean(axis=0), np.cov(x, rowvar=False)


def fd_without_root(*, generated, reference):
    """The trace term is that of S1 S2 itself."""
    (a, s), (b, r) = moments(generated), moments(reference)
    value = float((a - b) @ (a - b) + np.trace(s + r - 2 * s @ r))
    return replace(fd(generated=generated, reference=reference), value=value)


def fd_of_commuting(*, generated, reference):
    """The root of each covariance, as if they commuted: tr S1^1/2 S2^1/2 is less than what it stands for."""
    (a, s), (b, r) = moments(generated), moments(reference)

    def root(c):
        values, vectors = np.linalg.eigh(c)
        return vectors * np.sqrt(values) @ vectors.T

    value = float((a - b) @ (a - b) + np.trace(s + r - 2 * root(s) @ root(r)))
    return replace(fd(generated=generated, reference=reference), value=value)


def fd_over_n(*, generated, reference):
    """Covariances over n in place of n - 1."""
    found = fd(generated=generated, reference=reference)
    mean, n = found.extra["mean_term"], Features.of(generated).n
    return replace(found, value=mean + (found.value - mean) * (n - 1) / n)


def fd_uncorrected(*, generated, reference):
    """The plug-in is called debiased."""
    found = fd(generated=generated, reference=reference)
    return replace(found, debiased=found.value)


def fd_bootstrap(*, generated, reference):
    """A percentile bootstrap in place of the jackknife."""
    x, y = array(generated), array(reference)
    rng = np.random.default_rng(0)
    with values_alone():
        draws = [
            fd(generated=x[rng.integers(len(x), size=len(x))], reference=y[rng.integers(len(y), size=len(y))]).value
            for _ in range(20)
        ]
    found = fd(generated=generated, reference=reference)
    return replace(found, low=float(np.min(draws)), high=float(np.max(draws)))


def kd_with_diagonal(*, generated, reference):
    """Every sample is paired with itself too: biased, but called unbiased."""
    x, y = array(generated), array(reference)

    def kernel(a, b):
        return float(((a @ b.T / a.shape[1] + 1) ** 3).mean())

    value = kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
    return replace(kd(generated=generated, reference=reference), value=value, debiased=value)


def is_without_exp(*, generated):
    return changed(inception_score(generated=generated), math.log)


def precision_as_recall(*, generated, reference, rng, k=3):
    return recall(generated=generated, reference=reference, rng=rng, k=k)


def recall_as_precision(*, generated, reference, rng, k=3):
    return precision(generated=generated, reference=reference, rng=rng, k=k)


def coverage_of_generated(*, generated, reference, rng, k=5):
    """Counts generated samples near a reference one, in place of reference samples near a generated one."""
    return coverage(generated=reference, reference=generated, rng=rng, k=k)


def coverage_without_null(*, generated, reference, rng, k=5):
    return replace(coverage(generated=generated, reference=reference, rng=rng, k=k), null=None)


def kl_of_swapped_sets(*, generated, reference):
    return kl_gaussian(generated=reference, reference=generated)


def entropy_in_bits(*, generated):
    return changed(entropy_class(generated=generated), lambda nats: nats / math.log(2))


def w2_without_root(*, generated, reference, p):
    return changed(wasserstein(generated=generated, reference=reference, p=p), lambda x: math.copysign(x * x, x))


def w2_not_centred(*, generated, reference, p):
    """The plug-in and its jackknife error, which know nothing of the bias."""
    found = wasserstein(generated=generated, reference=reference, p=p)
    half = 2 * (found.std_error or 0.0)
    return replace(found, debiased=found.value, low=found.value - half, high=found.value + half)


def error_too_small(*, generated, log_prob):
    """By the square root of two."""
    found = cross_entropy(generated=generated, log_prob=log_prob)
    return replace(found, std_error=(found.std_error or 0.0) / math.sqrt(2))


def label_test_of_swapped_splits(*, generated, train, test):
    return label_test(generated=generated, train=test, test=train)


TIMES = itertools.count()


def fd_that_changes(*, generated, reference):
    """A random part that no seed decides."""
    found = fd(generated=generated, reference=reference)
    return replace(found, value=found.value + 1e-3 * next(TIMES))


def fd_of_first_half(*, generated, reference):
    """The order of the rows decides."""
    return fd(generated=array(generated)[::2], reference=reference)


def fd_negated(*, generated, reference):
    """Declared as lower is better, and is the other way round."""
    return changed(fd(generated=generated, reference=reference), lambda x: -x)


def is_that_crashes(*, generated):
    """Crashes where there is no score, in place of a word about it."""
    if Features.of(generated).n < 2:
        raise ValueError("not enough values to unpack")
    return inception_score(generated=generated)


def _of(name, compute, case, part):
    return Broken(metric=replace(METRICS.load(name), compute=compute), case=case, part=part)


BROKEN: dict[str, Broken] = {
    "fd without the root": _of("fd", fd_without_root, "small sets", "known answer"),
    "fd of commuting covariances": _of("fd", fd_of_commuting, "small sets", "known answer"),
    "fd with covariances over n": _of("fd", fd_over_n, "small sets", "known answer"),
    "fd uncorrected": _of("fd", fd_uncorrected, "equal Gaussians", "known answer"),
    "fd with a bootstrap interval": _of("fd", fd_bootstrap, "equal Gaussians", "coverage"),
    "kd with the diagonal": _of("kd", kd_with_diagonal, "equal Gaussians", "null"),
    "IS without exp": _of("is", is_without_exp, "sure answers, ten classes", "known answer"),
    "recall as precision": _of("precision", precision_as_recall, "a third foreign", "known answer"),
    "precision as recall": _of("recall", recall_as_precision, "a third missing", "known answer"),
    "coverage of the wrong set": _of("coverage", coverage_of_generated, "small sets", "known answer"),
    "coverage without its null": _of("coverage", coverage_without_null, "equal Gaussians", "null"),
    "KL of swapped sets": _of("kl_gaussian", kl_of_swapped_sets, "small sets", "known answer"),
    "entropy in bits": _of("entropy_class", entropy_in_bits, "seven classes, equally often", "known answer"),
    "W2 without the root": _of("w2", w2_without_root, "small sets", "known answer"),
    "W2 not centred": _of("w2", w2_not_centred, "Gaussians apart in 8 dimensions", "coverage"),
    "standard error too small": _of("cross_entropy", error_too_small, "Gaussian beside the truth", "stability"),
    "label test of swapped splits": _of("label_test", label_test_of_swapped_splits, "copies alone", "known answer"),
    "fd that changes": _of("fd", fd_that_changes, "", "known answer"),
    "fd of half of the rows": _of("fd", fd_of_first_half, "", "known answer"),
    "fd negated": _of("fd", fd_negated, "", "direction"),
    "IS that crashes": _of("is", is_that_crashes, "", "known answer"),
}
