"""How many classes the samples reach, ladder: logits -> classes -> counts -> classes that count.

For stacked digits, where three digits make one of 1,000 classes, the counts can be corrected for what the digits'
classifier confuses: `confusion_corrected_counts`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genbench.errors import SampleError, UsageError
from genbench.metrics.counts import predicted_classes
from genbench.metrics.distances import check_widths
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.metrics.modes import DUE_SHARE
from genbench.records import Estimate

FEW_HITS = 5


def modes_class(*, generated: Any, min_hits: int = 1) -> Estimate:
    """Count the classes that a classifier sees in the samples.

    Parameters
    ----------
    generated : Features or (n, K) array
        Logits; a sample's class is the largest.
    min_hits : int
        Samples that a class must get to count, >= 1. One is the rule of published tables; five are what a classifier
        with errors calls for where there are many classes.

    Returns
    -------
    Estimate
        In [0, K], higher is better; compare with real data at the same n. No error is given. ``extra``: ``one_hit``
        and ``five_hits``, the counts under both rules.

    Raises
    ------
    SampleError
        With fewer than 2 classes, or if ``min_hits`` is below 1.

    Notes
    -----
    Chance level: if the classifier takes a share e of n samples for any of K classes at random, a class that was never
    generated gets about n e/K hits, and K (1 - exp(-n e/K)) classes are counted by errors alone: with K = 1,000 and n =
    26,000, all of which come from 98 classes, an error of .5% in each of three digits makes 98 classes 355, 1% 542,
    2% 704. Asking for five hits gives 98, 97 and 151. One stray sample a class is enough for the full count: read
    `modes_class_share` and `kl_class` beside it. O(n K).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: ten even classes 10 (10).
    - On mixture, n = 400: modes_class falls with mode drop (from .1); is blind to imbalance, noise, blur, shrink,
      collapse, duplicates, copies, near copies, label noise and foreign up to .8.
    - On digits, n = 225: modes_class falls with mode drop (from .1); is blind to imbalance, noise, blur, shrink,
      collapse, duplicates, copies, near copies, label noise and foreign up to .8.

    References
    ----------
    Srivastava et al. 2017 (VEEGAN), arXiv:1705.07761, section 4; Lin et al. 2018 (PacGAN), arXiv:1712.04086.
    """
    features = Features.of(generated)
    if min_hits < 1:
        raise SampleError(f"modes_class: min_hits >= 1 expected, got {min_hits}.")
    counts = np.bincount(predicted_classes("modes_class", features), minlength=features.d)
    rules = {"one_hit": float((counts >= 1).sum()), "five_hits": float((counts >= FEW_HITS).sum())}
    return Estimate(value=float((counts >= min_hits).sum()), extra=rules)


def modes_class_share(*, generated: Any, reference: Any) -> Estimate:
    """Count the classes that get at least a fifth of the share that they have in the reference.

    Parameters
    ----------
    generated, reference : Features or (n, K), (m, K) arrays
        Logits; a sample's class is the largest.

    Returns
    -------
    Estimate
        In [0, number of classes in the reference], higher is better; compare with real data at the same n. No error
        is given. ``extra``: ``classes``, that number; ``expected``, what a generator with exactly the reference's
        shares reaches on average at this n.

    Raises
    ------
    SampleError
        If the numbers of classes differ or are below 2.

    Notes
    -----
    A class counts with ``ceil(0.2 n b/m)`` hits or more, for b of m in the reference; classes without any there do not
    count. Where n b/m is below 5 one hit is enough, and chance decides as in `modes_class`. O((n + m) K).

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: ten even classes 10 (10).
    - On mixture, n = 400: modes_class_share falls with mode drop (from .1), imbalance (from .8) and foreign (from .8);
      is blind to noise, blur, shrink, collapse, duplicates, copies, near copies and label noise up to .8.
    - On digits, n = 225: modes_class_share falls with mode drop (from .1) and foreign (from .8); is blind to imbalance,
      noise, blur, shrink, collapse, duplicates, copies, near copies and label noise up to .8.
    """
    from scipy.stats import binom  # takes most of a second to import

    generated, reference = Features.of(generated), Features.of(reference)
    check_widths("modes_class_share", generated, reference)
    counts, theirs = (
        np.bincount(predicted_classes("modes_class_share", side), minlength=side.d) for side in (generated, reference)
    )
    present = theirs > 0
    # In whole numbers: ceil(0.2 n b/m) must not be one too many by rounding.
    due = -(-theirs[present] * generated.n // (round(1 / DUE_SHARE) * reference.n))
    chances = binom.sf(due - 1, generated.n, theirs[present] / reference.n)
    return Estimate(
        value=float((counts[present] >= due).sum()),
        extra={"classes": float(present.sum()), "expected": float(chances.sum())},
    )


def confusion_corrected_counts(counts: Any, confusion: Any) -> NDArray[np.float64]:
    """Estimate how often each class was really generated, from how often a classifier with known errors saw it.

    Parameters
    ----------
    counts : (K,) or (K, K, ...) array
        How often each class, or each combination of classes that are classified one by one, was predicted. Stacked
        digits: shape (10, 10, 10).
    confusion : (K, K) array
        Row i: shares of predictions where class i is the truth, on data that the classifier was not trained on. Rows
        sum to one.

    Returns
    -------
    array of the shape of ``counts``
        Unbiased where the confusion matrix is exact, with the same sum; not whole, and negative in places: for
        marginals and means, while to count modes `modes_class` with five hits is sharper.

    Raises
    ------
    UsageError
        If shapes do not fit, rows of the matrix do not sum to one, or it cannot be inverted reliably.

    Notes
    -----
    Solves ``observed = confusion^T true`` along every axis. A condition number c of the matrix multiplies noise by up
    to c an axis. O(size of counts times K).

    Examples
    --------
    >>> confusion_corrected_counts([76, 24], [[0.9, 0.1], [0.2, 0.8]]).round(6).tolist()
    [80.0, 20.0]
    """
    corrected: NDArray[np.float64] = np.asarray(counts, dtype=np.float64)
    matrix = np.asarray(confusion, dtype=np.float64)
    k = len(matrix) if matrix.ndim else 0
    if k < 2 or matrix.shape != (k, k) or corrected.ndim == 0 or set(corrected.shape) != {k}:
        raise UsageError(
            "confusion_corrected_counts: a (K, K) matrix and counts of K classes along every axis expected, got shapes "
            f"{matrix.shape} and {corrected.shape}."
        )
    if (matrix < 0).any() or not np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6):
        raise UsageError(
            "confusion_corrected_counts: rows of shares that sum to one expected, one a true class; divide the table "
            "of counts by its row sums."
        )
    if not np.linalg.cond(matrix) < 1 / math.sqrt(np.finfo(np.float64).eps):
        raise UsageError(
            "confusion_corrected_counts: a matrix that can be inverted expected; merge classes that the classifier "
            "does not tell apart."
        )
    inverse = np.linalg.inv(matrix.T)
    for axis in range(corrected.ndim):
        # Contracting an axis puts it first; it is moved back before the next one's turn.
        corrected = np.moveaxis(np.tensordot(inverse, corrected, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(corrected)


MODES_CLASS = Metric(
    name="modes_class",
    compute=modes_class,
    space="logits",
    unit="classes",
    better="higher",
    ideal=None,
    uncertainty="none",
    source="Srivastava et al. 2017, arXiv:1705.07761, section 4",
)
MODES_CLASS_SHARE = Metric(
    name="modes_class_share",
    compute=modes_class_share,
    space="logits",
    unit="classes",
    better="higher",
    ideal=None,
    uncertainty="none",
    source="as modes_class, with a share of the reference's share as threshold",
)
