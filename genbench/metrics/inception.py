"""The Inception Score: how sure a classifier is of each sample, and how varied its answers are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor
from torch.nn.functional import one_hot

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL, group_count, group_labels

WIDE = 2**24
"""Logits above which exponentials are taken in float32: twice as fast, where so many are averaged."""


def inception_score(*, generated: Any) -> Estimate:
    """Inception Score of all samples at once: ``exp(mean_i KL(p(.|x_i) || q))`` with ``q = mean_i p(.|x_i)``.

    It does not fall with collapse within a class, with which it may rise, and does not see copies of the training set.

    Parameters
    ----------
    generated : Features or (n, C) array
        Logits of a classifier of C >= 2 classes, n >= 2.

    Returns
    -------
    Estimate
        ``value`` lies in [1, C], higher is better. ``debiased`` adds to the exponent the plug-in's first-order
        bias, ``(1/2n) sum_c Var(p_c)/q_c``. The interval is that of the logarithm, of which the score is a mean.

    Raises
    ------
    SampleError
        With fewer than 2 samples or 2 classes.

    Notes
    -----
    Softmax relative to the largest logit, in float64 up to 2^24 logits, in float32 with float64 sums beyond. The order
    of the samples does not matter: there are no splits
    (`inception_score_splits` has those). O(n C) operations, in two passes; O(n + G C) memory for G = 20 groups.

    Audit
    -----
    What ``genbench audit`` found; results/audit says on what data, of how many samples.
    - Mean over draws, and what is true or promised: Dirichlet answers 1.884 (1.883, bias -0.005 to 0.005); Dirichlet
      answers, value 1.879 (1.878, bias -0.00047 to 0.00047).
    - Coverage of 95% intervals: Dirichlet answers 0.9383 (600 draws); equal mixtures 0.9444 (72 draws, of the mean
      score at this n).
    - On mixture, n = 400: is falls with mode drop (from .1), imbalance (from .4), duplicates (from .8) and foreign
      (from .1); is blind to noise, blur, shrink, collapse, copies, near copies and label noise up to .8.
    - On digits, n = 225: is rises with shrink (from .1); falls with mode drop (from .1), imbalance (from .4), noise
      (from .4), blur (from .8), duplicates (from .8) and foreign (from .05); is blind to collapse, copies, near copies
      and label noise up to .8.

    References
    ----------
    Salimans et al. 2016, arXiv:1606.03498, section 4; Barratt and Sharma 2018, arXiv:1801.01973, for its limits.

    Examples
    --------
    >>> round(inception_score(generated=[[50.0, -50.0], [-50.0, 50.0]]).value, 9)
    2.0
    """
    features = Features.of(generated)
    n, classes = features.n, features.d
    if n < 2 or classes < 2:
        raise SampleError(f"is: logits of >= 2 samples and >= 2 classes expected, got shape ({n}, {classes}).")
    groups = group_count(n)
    logits = logits_of(features)
    found = sum_answers(logits, group_rows(n, groups))
    shares = found.sums.sum(dim=0) / n
    seen = shares > 0
    # Around 0, not the mean: what that costs is 2^-53 of the share, beside which a rounding below 0 means 0.
    variances = ((found.squares - n * shares.square()) / (n - 1)).clamp_(min=0)
    bias = float((variances[seen] / shares[seen]).sum()) / (2 * n)
    divergences = _divergences(logits, found.negative_entropies, shares)
    log_score = float(divergences.mean())
    log_error = float(divergences.std()) / math.sqrt(n)
    width = float(ndtri(0.5 + LEVEL / 2)) * log_error
    debiased = math.exp(log_score + bias)
    return Estimate(
        value=within_range(math.exp(log_score), classes),
        debiased=debiased,
        std_error=debiased * log_error,
        low=math.exp(log_score + bias - width),
        high=math.exp(log_score + bias + width),
        level=LEVEL,
        replicates=_replicates(found) if groups else (),
    )


@dataclass(frozen=True)
class Answers:
    """What one pass over a classifier's answers p(.|x_i) finds.

    Attributes
    ----------
    sums : (parts, C) float64 tensor
        Of the probabilities, over the rows of each part.
    squares : (C,) float64 tensor
        Sums of their squares over all rows.
    negative_entropies : (n,) float64 tensor
        ``sum_c p log p`` of every row, in nats; of rows in no part 0.
    sizes : (parts,) float64 tensor
        Numbers of rows.
    entropy_sums : (parts,) float64 tensor
        Of the negative entropies, over the rows of each part.
    """

    sums: Tensor
    squares: Tensor
    negative_entropies: Tensor
    sizes: Tensor
    entropy_sums: Tensor


def logits_of(features: Features) -> Tensor:
    """Return the rows: above `WIDE` as they were given, because there float32 is enough and float64 takes a copy."""
    return features.given if features.n * features.d > WIDE else features.values


def group_rows(n: int, groups: int) -> list[NDArray[np.int64]]:
    """Return the rows of every jackknife group; all of them as one where there are no groups."""
    if not groups:
        return [np.arange(n)]
    labels = group_labels(n, groups)
    return [np.flatnonzero(labels == group) for group in range(groups)]


def sum_answers(logits: Tensor, parts: Sequence[NDArray[np.int64]]) -> Answers:
    """Read the logits once, in blocks that a cache holds, part by part.

    Parameters
    ----------
    logits : (n, C) tensor
        Float64; or float32, of which there are more than `WIDE`.
    parts : sequence of (k,) int64 arrays
        Rows; none in two parts.

    Returns
    -------
    Answers

    Notes
    -----
    O(n C) operations, three quarters of them in exponentials; O(n + parts C) memory beside a block.
    """
    if logits.numel() > WIDE:
        return _sum_in_float32(logits, parts)
    n, classes = logits.shape
    sums, squares = logits.new_zeros(len(parts), classes), logits.new_zeros(classes)
    entropies = logits.new_zeros(n)
    for part, rows in enumerate(parts):
        for block in torch.split(torch.from_numpy(rows).to(logits.device), _block_rows(logits)):
            # Relative to the largest: their products with p are then no larger than the entropy is.
            relative = logits[block]
            relative -= relative.amax(dim=1, keepdim=True)
            p = relative.softmax(dim=1)
            entropies[block] = torch.linalg.vecdot(p, relative) + p.amax(dim=1).log()
            sums[part] += p.sum(dim=0)
            squares += p.square_().sum(dim=0)
    return _answers(sums, squares, entropies, parts)


def _answers(sums: Tensor, squares: Tensor, entropies: Tensor, parts: Sequence[NDArray[np.int64]]) -> Answers:
    sizes = torch.tensor([float(len(rows)) for rows in parts], dtype=sums.dtype, device=sums.device)
    of_parts = torch.stack([entropies[torch.from_numpy(rows).to(sums.device)].sum() for rows in parts])
    return Answers(sums, squares, entropies, sizes, of_parts)


def _sum_in_float32(logits: Tensor, parts: Sequence[NDArray[np.int64]]) -> Answers:
    """Read the logits in the order of memory, with exponentials in float32 and sums over blocks in float64.

    A probability is off by some 1e-7 of itself, at random; a mean over the tens of thousands of rows that there are, by
    less than 1e-8, which a test holds against float64.
    """
    n, classes = logits.shape
    zeros = partial(torch.zeros, dtype=torch.float64, device=logits.device)
    sums, squares, entropies = zeros(len(parts), classes), zeros(classes), zeros(n)
    labels = torch.full((n,), len(parts), device=logits.device)  # of rows in no part
    for part, rows in enumerate(parts):
        labels[torch.from_numpy(rows).to(logits.device)] = part
    counted = (labels < len(parts)).float()
    for start, block, p in _float32_answers(logits):
        here = slice(start, start + len(p))
        lse = block.amax(dim=1).double() - p.amax(dim=1).double().log()
        entropies[here] = (torch.linalg.vecdot(p, block).double() - lse) * counted[here]
        sums += _sum_by_label(p, labels[here], len(parts))
        squares += counted[here] @ p.square_()
    return _answers(sums, squares, entropies, parts)


def _sum_by_label(p: Tensor, labels: Tensor, parts: int) -> Tensor:
    """Sum rows by their labels, (parts, C); the label ``parts`` is left out."""
    if p.device.type == "cpu":
        return p.new_zeros(parts + 1, p.shape[1]).index_add_(0, labels, p)[:parts]
    # Elsewhere that adds in any order; a product adds in a fixed one.
    return one_hot(labels, parts + 1).to(p.dtype).T[:parts] @ p


def _float32_answers(logits: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Give the number of the first row, logits and probabilities of blocks, these in memory that is used again."""
    rows = 4 * _block_rows(logits)
    p = torch.empty(rows, logits.shape[1], device=logits.device)
    for start in range(0, len(logits), rows):
        block = logits[start : start + rows].float()  # no copy where they are that already
        yield start, block, torch.softmax(block, dim=1, out=p[: len(block)])


def log_scores(sums: Tensor, entropy_sums: Tensor, sizes: Tensor) -> list[float]:
    """Logarithms of scores, ``mean_i sum_c p log p - sum_c q log q``: of sums (k, C), (k,) and sizes (k,)."""
    q = (sums / sizes[:, None]).clamp(min=0)  # a class of one group only must not round below 0
    found: list[float] = (entropy_sums / sizes - torch.special.xlogy(q, q).sum(dim=1)).tolist()
    return found


def within_range(score: float, classes: int) -> float:
    """Undo rounding beyond the ends of the range."""
    return min(max(score, 1.0), float(classes))


def _block_rows(logits: Tensor) -> int:
    """Rows at a time: 1 MiB on a CPU, whose caches are of that size, 128 MiB where each call has to start a kernel."""
    cells = 2**17 if logits.device.type == "cpu" else 2**24
    return max(1, cells // logits.shape[1])


def _divergences(logits: Tensor, negative_entropies: Tensor, shares: Tensor) -> Tensor:
    """``KL(p(.|x_i) || q)``, (n,), in nats, of which the score's logarithm is the mean.

    A second pass, as q is known after the first; probabilities are computed anew, which takes less time than the memory
    to keep them.
    """
    log_q = shares.log().where(shares > 0, 0)  # nobody's class has no p to multiply
    if logits.numel() > WIDE:
        return negative_entropies - torch.cat([p @ log_q.float() for _, _, p in _float32_answers(logits)])
    crossed = [part.softmax(dim=1) @ log_q for part in torch.split(logits, _block_rows(logits))]
    return negative_entropies - torch.cat(crossed)


def _replicates(found: Answers) -> tuple[float, ...]:
    """Scores without each group, from sums over the groups."""
    rest = [total.sum(dim=0) - total for total in (found.sums, found.entropy_sums, found.sizes)]
    return tuple(within_range(math.exp(log_score), found.sums.shape[1]) for log_score in log_scores(*rest))


IS = Metric(
    name="is",
    compute=inception_score,
    space="logits",
    unit="classes",
    better="higher",
    ideal=None,
    uncertainty="closed form",
    source="Salimans et al. 2016, arXiv:1606.03498, section 4",
)
