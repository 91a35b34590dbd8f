"""The Inception Score: how sure a classifier is of each sample, and how varied its answers are."""

from __future__ import annotations

import math
from typing import Any

import torch
from scipy.special import ndtri
from torch import Tensor
from torch.nn.functional import one_hot

from genbench.errors import SampleError
from genbench.metrics.features import Features
from genbench.metrics.metric import Metric
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL, group_count, group_labels


def inception_score(*, generated: Any) -> Estimate:
    """Inception Score of all samples at once: ``exp(mean_i KL(p(.|x_i) || q))`` with ``q = mean_i p(.|x_i)``.

    It sees neither collapse within a class nor copies of the training set.

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
    Log-softmax in float64, so no probability is ever the logarithm of zero. The order of the samples does not matter:
    there are no splits (`inception_score_splits` has those). O(n C). Coverage of nominal 95% intervals on Dirichlet
    answers, whose score is known exactly: .960 at C = 10 and n = 5,000, .935 at C = 100 and n = 2,000, .955 at
    C = 1,000 and n = 5,000.

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
    log_p = features.values.log_softmax(dim=1)
    p = log_p.exp()
    divergences = log_probabilities_to_divergences(log_p)
    shares = p.mean(dim=0)
    seen = shares > 0
    bias = float((p.var(dim=0)[seen] / shares[seen]).sum()) / (2 * n)
    log_score = float(divergences.mean())
    log_error = float(divergences.std()) / math.sqrt(n)
    width = float(ndtri(0.5 + LEVEL / 2)) * log_error
    debiased = math.exp(log_score + bias)
    return Estimate(
        value=_within(math.exp(log_score), classes),
        debiased=debiased,
        std_error=debiased * log_error,
        low=math.exp(log_score + bias - width),
        high=math.exp(log_score + bias + width),
        level=LEVEL,
        replicates=_replicates(p, (p * log_p).sum(dim=1)),
    )


def log_probabilities_to_divergences(log_p: Tensor) -> Tensor:
    """Turn log p(.|x_i), (n, C), into ``KL(p(.|x_i) || q)``, (n,), in nats. The score's logarithm is their mean."""
    log_q = log_p.logsumexp(dim=0) - math.log(len(log_p))
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)


def _within(score: float, classes: int) -> float:
    """Undo rounding beyond the ends of the range."""
    return min(max(score, 1.0), float(classes))


def _replicates(p: Tensor, negative_entropies: Tensor) -> tuple[float, ...]:
    """Scores without each group, from ``log IS = mean_i sum p log p - sum q log q`` and sums over the groups."""
    n, groups = len(p), group_count(len(p))
    if not groups:
        return ()
    members = one_hot(torch.from_numpy(group_labels(n, groups)), groups).to(p.device, p.dtype).T
    # A product in place of a scatter, whose order of addition is not fixed on a GPU.
    kept = n - members.sum(dim=1, keepdim=True)
    q = ((p.sum(dim=0) - members @ p) / kept).clamp(min=0)  # a class of one group only must not round below 0
    negative = (negative_entropies.sum() - members @ negative_entropies) / kept[:, 0]
    log_scores = negative - torch.special.xlogy(q, q).sum(dim=1)
    return tuple(_within(math.exp(log_score), p.shape[1]) for log_score in log_scores.tolist())


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
