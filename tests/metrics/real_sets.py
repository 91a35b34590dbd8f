"""Generators whose memorization is known, and the control panel that several tests share."""

from __future__ import annotations

import numpy as np

from genbench.metrics.features import Features


class Quadrants:
    """Factors that can be read off any set: the signs of the first two columns. No training event has two minuses."""

    combinations = 4
    unseen = np.array([3])

    def read(self, values, *, tolerance):
        return (values[:, 0] < 0) + 2 * (values[:, 1] < 0)


def mixture(n, rng, *, d=16, modes=10):
    """Ten well-separated Gaussians, like the classes of a set of images."""
    centres = 3 * np.random.default_rng(0).standard_normal((modes, d))
    return centres[rng.integers(modes, size=n)] + rng.standard_normal((n, d))


def near_copies(n, share, train, rng, *, jitter=0.05):
    """Fresh Gaussian samples, a share of which is replaced by jittered distinct training rows."""
    generated = rng.standard_normal((n, train.shape[1]))
    copies = round(share * n)
    generated[:copies] = train[rng.choice(len(train), copies, replace=False)]
    generated[:copies] += jitter * rng.standard_normal((copies, train.shape[1]))
    return generated


def gaussian_case(kind, seed, *, d=16, sizes=(500, 1000, 500)):
    """Generated, train and test sets of one simulated case, as `Features`."""
    rng = np.random.default_rng([seed, d])
    n, n_train, n_test = sizes
    train, test = rng.standard_normal((n_train, d)), rng.standard_normal((n_test, d))
    generated = {
        "perfect": lambda: rng.standard_normal((n, d)),
        "narrow": lambda: 0.8 * rng.standard_normal((n, d)),
        "collapsed": lambda: rng.standard_normal(d) + 0.1 * rng.standard_normal((n, d)),
        "one point": lambda: np.tile(rng.standard_normal(d), (n, 1)),
        "copies": lambda: near_copies(n, 0.05, train, rng),
    }[kind]()
    return {"generated": Features(generated), "train": Features(train), "test": Features(test)}


def share_of(values):
    """Share of true values, as a float."""
    return float(np.mean(list(values)))
