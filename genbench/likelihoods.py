"""How likely a model thinks training and held-out data are, for models that say so (`genbench.protocols.Density`)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit

from genbench.definitions import SPLITS, Split
from genbench.errors import SampleError, UsageError
from genbench.evaluate import Evaluator
from genbench.protocols import Density, Sampler
from genbench.randomness import derive_seed
from genbench.records import Estimate, Score
from genbench.sampling.blocks import FiniteSampler, classes_of
from genbench.stats.jackknife import LEVEL

MOST = 1000
"""Events of each split whose likelihood is taken."""


def likelihood_scores(evaluator: Evaluator, sampler: Sampler | FiniteSampler, *, seed: int) -> tuple[Score, ...]:
    """Score the likelihood of both splits under a model.

    Parameters
    ----------
    evaluator : Evaluator
    sampler : Sampler or FiniteSampler
        One without ``log_prob`` has no such scores.
    seed : int
        Of draws that a bound makes.

    Returns
    -------
    tuple of Score
        ``bits_per_dim`` of images, minus log2 of the mass or density of an image over its number of values, or ``nll``
        of vectors, in nats; lower is better; against ``train`` and against ``test``, over the first min(n, `MOST`) rows
        of each, with Student's t interval over them. ``options`` say over how many ``levels`` the mass is spread
        (likelihoods over different levels do not compare) and whether it is a ``bound``, which the truth is below.
        A score that is not finite is a failure. Costs two passes over min(n, `MOST`) events, `IWAE_DRAWS` times that
        with latent variables.
    """
    if not isinstance(sampler, Density) or evaluator.splits != SPLITS:
        return ()
    try:
        return tuple(_score(evaluator, sampler, split, seed=seed) for split in SPLITS)
    except UsageError:  # the objective is no likelihood of such data: Bernoulli's, of gray pixels
        return ()


def _score(evaluator: Evaluator, sampler: Density, split: Split, *, seed: int) -> Score:
    data = evaluator.dataset
    rows = evaluator.spaces.real_rows(split, len(data.split(split)))[: min(evaluator.benchmark.n, MOST)]
    known = data.test_labels if split == "test" else data.train_labels
    given = {}
    if classes_of(sampler) is not None and known is not None:
        given["labels"] = torch.from_numpy(np.asarray(known[rows], dtype=np.int64))
    nats = sampler.log_prob(torch.from_numpy(data.split(split)[rows]), seed=derive_seed(seed, "likelihood"), **given)
    image = len(data.event_shape) == 3
    losses = -nats.detach().double().cpu().numpy() / (math.log(2) * math.prod(data.event_shape) if image else 1.0)
    estimate, failure = None, None
    try:
        estimate = mean_loss(losses)
    except SampleError as error:
        failure = str(error)
    levels = getattr(sampler, "levels", None)
    density = image and levels is None
    return Score(
        metric="bits_per_dim" if image else "nll",
        space="data",
        fingerprint=data.fingerprint,
        split=split,
        unit=("bits per dimension" + (", of a density" if density else "")) if image else "nats",
        better="lower",
        n_generated=len(rows),
        n_reference=len(rows),
        estimate=estimate,
        failure=failure,
        options={"levels": levels, "bound": bool(getattr(sampler, "bound", False))},
    )


def mean_loss(losses: NDArray[np.float64]) -> Estimate:
    """Mean of losses of independent events, (n,), with Student's t interval.

    Raises
    ------
    SampleError
        If there are fewer than two, or one is not finite.
    """
    bad = int((~np.isfinite(losses)).sum())
    if bad or len(losses) < 2:
        raise SampleError(
            f"likelihood: at least 2 finite numbers expected, got {len(losses)}, {bad} of them not finite."
        )
    value, std_error = float(losses.mean()), float(losses.std(ddof=1)) / math.sqrt(len(losses))
    half = float(stdtrit(len(losses) - 1, 0.5 + LEVEL / 2)) * std_error
    return Estimate(value=value, debiased=value, std_error=std_error, low=value - half, high=value + half, level=LEVEL)
