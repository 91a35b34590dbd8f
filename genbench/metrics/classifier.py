"""Divergences from a classifier that tells generated samples from real ones, judged on samples it was not fitted to.

The log-odds f of a classifier are an estimate of log p/q, the logarithm of the ratio of densities. Whatever f is, on
samples that had no part in fitting it each of three means is a lower bound of a divergence in expectation:

    Jensen-Shannon     log 2 + (mean_P log sigma(f) + mean_Q log sigma(-f)) / 2
    Donsker-Varadhan   mean_P f - log mean_Q exp f
    NWJ                mean_P f - mean_Q exp f + 1

Ladder: samples -> whitened components -> folds -> log-odds, of all samples and without each group -> bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit

from genbench.errors import SampleError
from genbench.metrics.cross_fit import FOLDS, cross_fitted_log_odds, deal_folds, with_products
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.projection import whiten
from genbench.records import Estimate
from genbench.stats.jackknife import debias, deletions, jackknife_estimate

Floats = NDArray[np.float64]

MIN_DISTINCT = 10
"""Distinct samples that each set must bring, so that both folds have some of either."""


def js_classifier(*, generated: Any, reference: Any, rng: int, dims: int = 5) -> Estimate:
    """Jensen-Shannon divergence of densities that a held-out quadratic classifier proves: a lower bound.

    The only divergence of densities here that stays finite, and that means something, for sets that do not overlap.

    Parameters
    ----------
    generated, reference : Features or (n, d), (m, d) arrays
        At least 10 distinct samples each; a few hundred to be of use.
    rng : int
        Seed of the split into folds.
    dims : int
        How many whitened principal components of the reference at most.

    Returns
    -------
    Estimate
        In nats, at most log 2 = 0.693, lower is better, ideal 0. ``value`` is a lower bound in expectation; it is
        negative where the classifier learned nothing, and not clipped. ``debiased`` is the jackknife's estimate of
        the bound that the best quadratic classifier would reach, which is below the divergence too; the interval
        speaks of that. ``extra``: ``accuracy``, balanced and held-out, 0.5 where the sets cannot be told apart;
        ``dimensions``.

    Raises
    ------
    SampleError
        If the widths differ, the reference is one point, or a set has fewer than 10 distinct samples.

    Notes
    -----
    ``log 2 + (mean_P log sigma(f) + mean_Q log sigma(-f))/2``, log 2 less the balanced held-out log-loss. Logistic
    regression on the components and all their products, scaled on the training fold, both sets of equal weight, ridge
    penalty of scikit-learn's default C = 1; two folds, each judged by the other's classifier. Equal rows share a fold,
    so that repeated or copied samples are never judged by a classifier that has seen them; the folds do not depend on
    the order of the rows; repeats lower the bound. The log-odds are cut off at plus and minus log min(n, m), which
    keeps the bound one.

    For Gaussians the quadratic is the right model; elsewhere the bound lacks what a quadratic cannot see (modes placed
    so that first and second moments agree), and no interval can say how much. The classifiers are fitted anew for every
    jackknife replicate, in the same folds: with them held fixed the interval would cover .80 at equal sets (d = 1), as
    the error of fitting is as large as that of judging. Where d > dims, compare with the null: a
    flat spectrum lets the reference's own noise choose its components (`whiten`), which at 512 equal variances and
    n = 10,000 gives a perfect generator .045 nats and no interval tells. O(G (n + m) r^4 + (n + m) d^2 + d^3)
    operations for G = 20 replicates and r components.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians 1 apart on a line, value 0.1084 (at most 0.1114);
      Gaussians 1 apart on a line 0.1117 (0.1114, bias -0.03 to 0.03); equal Gaussians on a line, value -0.0048 (0, bias
      -0.1 to 0).
    - Coverage of 95% intervals: Gaussians 1 apart on a line 0.9167 (96 draws); equal Gaussians on a line 0.9896 (96
      draws); equal mixtures 0.9722 (72 draws).
    - On mixture, n = 400: js_classifier rises with mode drop (from .1), imbalance (from .8) and foreign (from .1);
      falls with collapse (from .8) and duplicates (from .4); is blind to noise, blur, shrink, copies, near copies and
      label noise up to .8.
    - On digits, n = 225: js_classifier rises with mode drop (from .1), imbalance (from .8), noise (from .4), blur (from
      .8), shrink (from .4) and foreign (from .4); falls with collapse (from .4) and duplicates (from .4); is blind to
      copies, near copies and label noise up to .8.

    References
    ----------
    Goodfellow et al. 2014, arXiv:1406.2661, section 4.1; Lopez-Paz and Oquab 2017, arXiv:1610.06545.
    """
    judged = _judge("js_classifier", Features.of(generated), Features.of(reference), rng=rng, dims=dims)
    ours, theirs = judged.all
    accuracy = float(((ours > 0).mean() + (theirs < 0).mean()) / 2)
    return _estimate(judged, _js, {"accuracy": accuracy})


def kl_dv(*, generated: Any, reference: Any, rng: int, dims: int = 5) -> Estimate:
    """KL(generated || reference) of densities that a held-out quadratic classifier proves, by Donsker and Varadhan.

    A lower bound, and one that n samples cannot carry beyond about log n nats.

    Parameters, errors, classifier, interval and cost are those of `js_classifier`.

    Returns
    -------
    Estimate
        In nats, lower is better, ideal 0. ``value`` may be negative and is not clipped; ``debiased`` and the interval
        speak of the bound that the best quadratic classifier would reach. ``extra``: ``effective_reference``, the
        number of equal weights with which the weights exp f on the reference compare: where they are few, the value
        rests on them; ``dimensions``.

    Notes
    -----
    ``mean_P f - log mean_Q exp f``, the means over all held-out samples of both folds; never below `kl_nwj` for the
    same classifiers. The logarithm of a mean over m samples adds about Var(exp f)/(2 m mean(exp f)^2), which the
    debiased value is free of. Read `kl_knn` beside it for shapes that no quadratic sees.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians 1 apart on a line, value 0.4637 (at most 0.5); Gaussians
      1 apart on a line 0.5007 (0.5, bias -0.03 to 0.03); equal Gaussians on a line, value -0.0208 (0, bias -0.1 to 0).
    - Coverage of 95% intervals: Gaussians 1 apart on a line 0.9167 (96 draws); equal Gaussians on a line 0.9792 (96
      draws); equal mixtures 0.9583 (72 draws).
    - On mixture, n = 400: kl_dv rises with mode drop (from .2), imbalance (from .8) and foreign (from .1); falls with
      collapse (from .4) and duplicates (from .4); is blind to noise, blur, shrink, copies, near copies and label noise
      up to .8.
    - On digits, n = 225: kl_dv rises with mode drop (from .2), noise (from .4), blur (from .8), shrink (from .4) and
      foreign (from .4); falls with collapse (from .8) and duplicates (from .8); is blind to imbalance, copies, near
      copies and label noise up to .8.

    References
    ----------
    Donsker and Varadhan 1975; Belghazi et al. 2018 (MINE), arXiv:1801.04062; for the limit of log n, McAllester and
    Stratos 2020, arXiv:1811.04251, and Song and Ermon 2020, arXiv:1910.06222.
    """
    judged = _judge("kl_dv", Features.of(generated), Features.of(reference), rng=rng, dims=dims)
    return _estimate(judged, _dv, {"effective_reference": _effective(judged)})


def kl_nwj(*, generated: Any, reference: Any, rng: int, dims: int = 5) -> Estimate:
    """KL(generated || reference) of densities that a held-out quadratic classifier proves, by Nguyen and others.

    A lower bound in expectation at every n, weaker than `kl_dv` and with heavier tails.

    Parameters, errors, classifier, interval and cost are those of `js_classifier`.

    Returns
    -------
    Estimate
        In nats, lower is better, ideal 0. ``value`` may be very negative and is not clipped; ``debiased``, the
        interval and ``extra`` as in `kl_dv`.

    Notes
    -----
    ``mean_P f - mean_Q exp f + 1``.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Gaussians 1 apart on a line, value 0.4588 (at most 0.5); Gaussians
      1 apart on a line 0.5144 (0.5, bias -0.03 to 0.03); equal Gaussians on a line, value -0.0216 (0, bias -0.1 to 0).
    - Coverage of 95% intervals: Gaussians 1 apart on a line 0.9167 (96 draws); equal Gaussians on a line 0.9792 (96
      draws); equal mixtures 0.9583 (72 draws).
    - On mixture, n = 400: kl_nwj rises with mode drop (from .2), imbalance (from .8) and foreign (from .1); falls with
      collapse (from .8) and duplicates (from .8); is blind to noise, blur, shrink, copies, near copies and label noise
      up to .8.
    - On digits, n = 225: kl_nwj rises with mode drop (from .2), noise (from .4), blur (from .8), shrink (from .4) and
      foreign (from .4); falls with collapse (from .8); is blind to imbalance, duplicates, copies, near copies and label
      noise up to .8.

    References
    ----------
    Nguyen, Wainwright and Jordan 2010, arXiv:0809.0853; Song and Ermon 2020, arXiv:1910.06222, for its variance.
    """
    judged = _judge("kl_nwj", Features.of(generated), Features.of(reference), rng=rng, dims=dims)
    return _estimate(judged, _nwj, {"effective_reference": _effective(judged)})


LogOdds = tuple[Floats, Floats]
"""Held-out log-odds of having been generated: of the generated samples and of the reference's."""


class _Judged(NamedTuple):
    """Log-odds under classifiers fitted to all samples, and to all but each group, of those kept."""

    all: LogOdds
    without: list[LogOdds]
    dimensions: int


def _js(ours: Floats, theirs: Floats) -> float:
    return math.log(2) + float(log_expit(ours).mean() + log_expit(-theirs).mean()) / 2


def _dv(ours: Floats, theirs: Floats) -> float:
    return float(ours.mean()) - math.log(np.exp(theirs).mean())


def _nwj(ours: Floats, theirs: Floats) -> float:
    return float(ours.mean() - np.exp(theirs).mean()) + 1


def _effective(judged: _Judged) -> float:
    weights = np.exp(judged.all[1])
    return float(weights.sum() ** 2 / (weights**2).sum())


def _estimate(judged: _Judged, bound: Callable[[Floats, Floats], float], extra: dict[str, float]) -> Estimate:
    """Evaluate a bound on the log-odds of all samples and of what each deletion leaves."""
    value, replicates = bound(*judged.all), [bound(*odds) for odds in judged.without]
    m = len(judged.all[1])
    notes = ["a lower bound: it lacks what a quadratic classifier does not see"]
    if value > math.log(m):
        notes.append(f"beyond log m = {math.log(m):.2f} nats, more than {m} reference samples can prove")
    return jackknife_estimate(
        value,
        replicates,
        sizes=(len(judged.all[0]), m),
        debiased=debias(value, replicates) if replicates else None,
        extra={**extra, "dimensions": float(judged.dimensions)},
        notes=notes,
    )


def _judge(metric: str, generated: Features, reference: Features, *, rng: int, dims: int) -> _Judged:
    """Whiten, split, fit and judge; once for the three metrics, remembered with ``generated``."""
    moved = whiten(metric, generated, reference, dims)
    both = torch.cat([side.values for side in moved])
    rows, which = (x.cpu().numpy() for x in torch.unique(both, dim=0, return_inverse=True))
    ours, theirs = which[: generated.n], which[generated.n :]

    def counts(keep: NDArray[np.bool_] | slice, keep_reference: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
        kept = ours[keep], theirs[keep_reference]
        return np.stack([np.bincount(side, minlength=len(rows)) for side in kept])

    whole = counts(slice(None), slice(None))
    fewest = int((whole > 0).sum(axis=1).min())
    if fewest < MIN_DISTINCT:
        raise SampleError(
            f"{metric}: at least {MIN_DISTINCT} distinct samples in each set expected to fit a classifier, got "
            f"{fewest} in the smaller; score more samples, or look at unique_fraction."
        )

    def compute() -> _Judged:
        inputs, fold = with_products(rows), deal_folds(whole, seed=rng)
        limit = math.log(min(generated.n, reference.n))
        odds = cross_fitted_log_odds(inputs, fold, whole).clip(-limit, limit)
        without: list[LogOdds] = []
        for keep, keep_reference in deletions(generated.n, reference.n):
            kept = counts(keep, keep_reference)
            if not all((kept[:, fold == f] > 0).any(axis=1).all() for f in range(FOLDS)):
                without = []
                break
            part = cross_fitted_log_odds(inputs, fold, kept).clip(-limit, limit)
            without.append((part[ours[keep]], part[theirs[keep_reference]]))
        return _Judged((odds[ours], odds[theirs]), without, moved[0].d)

    return generated.remember(("classifier", reference, dims, rng), compute)


JS_CLASSIFIER = Metric(
    name="js_classifier",
    compute=js_classifier,
    space="pool",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Goodfellow et al. 2014, arXiv:1406.2661, section 4.1, on held-out samples",
)
KL_DV = Metric(
    name="kl_dv",
    compute=kl_dv,
    space="pool",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Belghazi et al. 2018, arXiv:1801.04062, on held-out samples",
)
KL_NWJ = Metric(
    name="kl_nwj",
    compute=kl_nwj,
    space="pool",
    unit="nats",
    better="lower",
    ideal=0.0,
    uncertainty="jackknife",
    source="Nguyen, Wainwright and Jordan 2010, arXiv:0809.0853, on held-out samples",
)
