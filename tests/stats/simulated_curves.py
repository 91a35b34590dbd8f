"""Learning curves of known behaviour: none of them, nor their noise, was used to set a threshold.

Scores fall by power laws or logistically (the trainings that thresholds were chosen on fell about exponentially), and
the noise of measurement has heavy tails and is correlated along training (there it was normal).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genbench.stats.curves import Curve

STOPS = 20
FREEDOM = 5

Floats = NDArray[np.float64]


def measured(truth: Floats, noise: float, rng: np.random.Generator) -> Curve:
    """Add to the true scores a relative noise of measurement, of deviation ``noise``, which the curve states."""
    scale = np.sqrt((FREEDOM - 2) / FREEDOM)  # of Student's t, to unit variance
    fresh = scale * rng.standard_t(FREEDOM, size=truth.size)
    noisy = np.empty_like(fresh)
    noisy[0] = fresh[0]
    for i in range(1, truth.size):
        noisy[i] = 0.5 * noisy[i - 1] + np.sqrt(0.75) * fresh[i]
    values = truth * np.exp(noise * noisy)
    steps = tuple(range(100, 100 * truth.size + 1, 100))
    errors = tuple(float(v) for v in noise * values)
    return Curve(steps=steps, values=tuple(float(v) for v in values), errors=errors, better="lower", null=0.5)


def stable(rng: np.random.Generator, *, least: float = 5.0, most: float = 20.0) -> Floats:
    """A fall by a power law or a logistic one, to between 1 and 10, from ``least`` to ``most`` times that."""
    at = np.arange(1, STOPS + 1)
    end, factor = rng.uniform(1, 10), rng.uniform(least, most)
    if rng.random() < 0.5:
        return np.asarray(end * (1 + (factor - 1) * at ** -rng.uniform(0.8, 2.0)))
    middle, width = rng.uniform(2, 8), rng.uniform(1, 2.5)
    return np.asarray(end * (1 + (factor - 1) / (1 + np.exp((at - middle) / width))))


def _leaves(curve: Floats, to: float, rng: np.random.Generator) -> Floats:
    """The curve leaves its course for another score, at once or over up to four stops, halfway."""
    begin, over = rng.integers(7, 14), rng.integers(1, 5)
    part = np.clip((np.arange(STOPS) - begin + 1) / over, 0, 1)
    return np.asarray(curve * (1 - part) + to * part)


def diverged(rng: np.random.Generator) -> Floats:
    """It ends at .8 to 3 times its first score, which was 5 times its best or more."""
    curve = stable(rng)
    return _leaves(curve, rng.uniform(0.8, 3.0) * curve[0], rng)


def collapsed(rng: np.random.Generator) -> Floats:
    """It falls to a third or a half, and loses .75 to 1 of that again: it never was as good as a diverged one."""
    curve = stable(rng, least=2.0, most=3.0)
    best = curve[13]
    return _leaves(curve, best + rng.uniform(0.75, 1.0) * (curve[0] - best), rng)


def unlearned(rng: np.random.Generator) -> Floats:
    """It stays between .7 and 1.3 times its first score, about which it drifts."""
    return np.asarray(rng.uniform(30, 150) * np.exp(np.linspace(0, rng.uniform(-0.3, 0.25), STOPS)))


def oscillating(rng: np.random.Generator) -> Floats:
    """A stable curve times a triangle wave of period 2 to 6 stops, or times bursts, of deviation .2 to .4."""
    at, size = np.arange(STOPS), rng.uniform(0.2, 0.4)
    if rng.random() < 0.5:
        wave = 2 * np.abs(2 * ((at / rng.uniform(2, 6) + rng.random()) % 1) - 1) - 1
        return np.asarray(stable(rng) * np.exp(size * np.sqrt(3) * wave))
    bursts = rng.exponential(size, size=STOPS)
    return np.asarray(stable(rng) * np.exp(bursts))
