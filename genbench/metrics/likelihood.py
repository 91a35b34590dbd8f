"""Held-out likelihood of models with a latent variable, and what follows from log-likelihoods.

Plain functions: they need the model itself, not its samples. Ladder: model and data -> log-likelihoods -> gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from torch import Tensor

from genbench.errors import SampleError
from genbench.randomness import derive_seed
from genbench.records import Estimate
from genbench.stats.jackknife import LEVEL

BLOCK_ELEMENTS = 2**22
"""Numbers that one call of the model may hold, of latents and of decoded events alike."""


@runtime_checkable
class LatentModel(Protocol):
    """A decoder p(x|z) under the prior z ~ N(0, I), and an encoder q(z|x) with a diagonal Gaussian."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of q(z|x), both (b, latent), for x (b, *event)."""
        ...

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z) in nats, (b,), for x (b, *event) and z (b, latent), row by row."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentLikelihood:
    """Estimates of log p(x), one an example.

    Attributes
    ----------
    log_prob : (n,) float64 array
        In nats, in the model's units; in expectation at most log p(x).
    effective : (n,) float64 array
        How many of the k draws count, ``(sum w)^2 / sum w^2``, in [1, k]. Where they are few, the estimate is loose.
    k : int
        Draws an example.
    """

    log_prob: NDArray[np.float64]
    effective: NDArray[np.float64]
    k: int

    @property
    def bias(self) -> NDArray[np.float64]:
        """How far each estimate is below log p(x), first order: ``-(1/effective - 1/k)/2``; good where it is small."""
        return -(1 / self.effective - 1 / self.k) / 2


def iwae_bound(model: LatentModel, x: Any, *, k: int = 500, seed: int) -> LatentLikelihood:
    """Importance-weighted lower bound of log p(x) for each example.

    Parameters
    ----------
    model : LatentModel
        For example the sampler of a trained ``vae`` baseline.
    x : (n, *event) array or tensor, floating point
        In the model's units and precision, on its device.
    k : int
        Draws from q(z|x) for each example, >= 1. One is the evidence lower bound.
    seed : int
        Draws depend on it and on the example's place alone, not on how many examples there are.

    Returns
    -------
    LatentLikelihood
        Per example. Higher is better. Densities of data in other units differ by the log of the scale, a dimension.

    Raises
    ------
    SampleError
        If there is no example, k is below 1, or the model returns shapes that do not fit or numbers not finite.

    Notes
    -----
    ``log (1/k) sum_j p(x|z_j) p(z_j)/q(z_j|x)``, weights in float64. Its expectation rises with k towards log p(x);
    short of it are about Var(w)/(2 k) for weights of mean one. With a q of twice the posterior's variance in five
    dimensions that is .77 nats at k = 1, .010 at 50 and .001 at 500; with the exact posterior it is 0 and the weights
    do not vary. A q that is too narrow fools ``effective``, too: the bound then can be far below without a sign. n k
    decoder passes, in blocks.

    References
    ----------
    Burda et al. 2016, arXiv:1509.00519, eq. 8; bias: Nowozin 2018 (JVI), proposition 1.
    """
    data = torch.as_tensor(x)
    if k < 1 or data.dim() < 2 or len(data) == 0 or not data.is_floating_point():
        raise SampleError(
            f"iwae: k >= 1 and examples (n, *event) of a floating-point type expected, got k = {k} and "
            f"{tuple(data.shape)} of {data.dtype}."
        )
    log_prob, effective = [], []
    with torch.no_grad():
        for rows, mean, log_var in _encoded(model, data, k):
            log_w = _log_weights(
                model, data[rows.start : rows.stop], mean, log_var, _noise(rows, k, mean.shape[1], seed).to(mean.device)
            )
            top = log_w.logsumexp(dim=1)
            log_prob.append(top - math.log(k))
            effective.append(torch.exp(2 * top - (2 * log_w).logsumexp(dim=1)))
    found = torch.cat(log_prob).cpu().numpy()
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise SampleError(
            f"iwae: finite likelihoods expected, but those of {bad} of {len(data)} examples are not; look at the "
            "model's log_likelihood and at the range of the data."
        )
    return LatentLikelihood(log_prob=found, effective=torch.cat(effective).cpu().numpy(), k=k)


def likelihood_gap(train_log_prob: Any, test_log_prob: Any) -> Estimate:
    """Generalization gap: mean log-likelihood of training data less that of held-out data.

    Parameters
    ----------
    train_log_prob, test_log_prob : (n,), (m,) arrays
        In nats, as `iwae_bound` or a flow gives them; at least 2 each. Use the same k, whose bias then mostly cancels.

    Returns
    -------
    Estimate
        In nats an example; lower is better, ideal 0; above 0 the model knows its training data better than others.
        Welch's standard error and t interval. ``extra``: both means, and ``degrees`` of freedom.

    Raises
    ------
    SampleError
        If a set has fewer than 2 values or one that is not finite.

    Notes
    -----
    The interval treats the model as fixed and the training examples as a sample of what it was trained on: it speaks of
    this model, not of another training. Coverage follows Welch's t; heavy tails of log-likelihoods (outliers) weaken
    it. O(n + m).

    References
    ----------
    Welch 1947, Biometrika 34.

    Examples
    --------
    >>> likelihood_gap([1.0, 3.0], [0.0, 2.0]).value
    1.0
    """
    train, test = (_finite("likelihood_gap", values) for values in (train_log_prob, test_log_prob))
    parts = [float(values.var(ddof=1)) / len(values) for values in (train, test)]
    std_error = math.sqrt(sum(parts))
    shares = [part / sum(parts) for part in parts] if std_error > 0 else [0.5, 0.5]
    degrees = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, (train, test), strict=True))
    width = float(stdtrit(degrees, 0.5 + LEVEL / 2)) * std_error
    value = float(train.mean() - test.mean())
    return Estimate(
        value=value,
        debiased=value,
        std_error=std_error,
        low=value - width,
        high=value + width,
        level=LEVEL,
        extra={"train": float(train.mean()), "test": float(test.mean()), "degrees": degrees},
    )


def reconstruction_error(original: Any, reconstructed: Any) -> Estimate:
    """Mean squared error of reconstructions, a number of the event.

    Parameters
    ----------
    original, reconstructed : (n, *event) arrays
        In the same units, at least 2 examples.

    Returns
    -------
    Estimate
        In squared units, >= 0, lower is better, ideal 0. Standard error over examples, normal interval. ``extra``:
        ``worst``, the largest error of one example. It measures the autoencoder, not its samples: one that copies its
        input has none.

    Raises
    ------
    SampleError
        If shapes differ, there are fewer than 2 examples, or a number is not finite.

    Examples
    --------
    >>> reconstruction_error([[0.0, 0.0], [1.0, 1.0]], [[0.0, 2.0], [1.0, 1.0]]).value
    1.0
    """
    first, second = (torch.as_tensor(side).detach().to(torch.float64) for side in (original, reconstructed))
    if first.shape != second.shape or first.dim() < 2:
        raise SampleError(
            f"reconstruction_error: two sets (n, *event) of one shape expected, got {tuple(first.shape)} and "
            f"{tuple(second.shape)}."
        )
    errors = _finite("reconstruction_error", (first - second).square().flatten(1).mean(dim=1))
    value, std_error = float(errors.mean()), float(errors.std(ddof=1)) / math.sqrt(len(errors))
    width = float(ndtri(0.5 + LEVEL / 2)) * std_error
    return Estimate(
        value=value,
        debiased=value,
        std_error=std_error,
        low=max(0.0, value - width),
        high=value + width,
        level=LEVEL,
        extra={"worst": float(errors.max())},
    )


def _encoded(model: LatentModel, data: Tensor, k: int) -> Iterator[tuple[range, Tensor, Tensor]]:
    """Encode in blocks of rows whose k decoded events, and k latents, fit the bound of memory."""
    step = max(1, BLOCK_ELEMENTS // (k * data[0].numel()))
    for start in range(0, len(data), step):
        rows = range(start, min(start + step, len(data)))
        mean, log_var = model.encode(data[rows.start : rows.stop])
        if mean.dim() != 2 or len(mean) != len(rows) or mean.shape != log_var.shape:
            raise SampleError(
                f"iwae: mean and log variance of shape ({len(rows)}, latent) expected of encode, got "
                f"{tuple(mean.shape)} and {tuple(log_var.shape)}."
            )
        yield rows, mean.double(), log_var.double()


def _noise(rows: range, k: int, latent: int, seed: int) -> Tensor:
    """Draw (b, k, latent) normal numbers, every example's from a seed of its own."""
    drawn = [
        torch.randn(k, latent, dtype=torch.float64, generator=torch.Generator().manual_seed(row_seed))
        for row_seed in (derive_seed(seed, "iwae", row) for row in rows)
    ]
    return torch.stack(drawn)


def _log_weights(model: LatentModel, x: Tensor, mean: Tensor, log_var: Tensor, noise: Tensor) -> Tensor:
    """Return ``log p(x|z) + log p(z) - log q(z|x)``, (b, k), for ``z = mean + std noise``."""
    b, k, latent = noise.shape
    z = mean[:, None] + torch.exp(0.5 * log_var)[:, None] * noise
    likelihood = model.log_likelihood(x.repeat_interleave(k, dim=0), z.reshape(b * k, latent).to(x.dtype))
    if likelihood.shape != (b * k,):
        raise SampleError(
            f"iwae: one log-likelihood a row, shape ({b * k},), expected of log_likelihood, got "
            f"{tuple(likelihood.shape)}."
        )
    # The normalizing constants of prior and posterior cancel but for the variances.
    return likelihood.double().reshape(b, k) + 0.5 * (noise.square() - z.square() + log_var[:, None]).sum(dim=2)


def _finite(name: str, values: Any) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) < 2 or not np.isfinite(array).all():
        raise SampleError(
            f"{name}: at least 2 finite numbers, one an example, expected, got shape {array.shape} with "
            f"{int((~np.isfinite(array)).sum())} that are not finite."
        )
    return array
