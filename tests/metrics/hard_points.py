"""Points on which fast distances go wrong."""

import numpy as np
import torch


def points(n, d=3, seed=0, *, ties=False):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (n, d)) if ties else rng.standard_normal((n, d))
    return torch.from_numpy(np.asarray(values, dtype=np.float64))


HARD = {
    "plain": lambda n: points(n, 24),
    "duplicates": lambda n: points(n // 2, 24).repeat(2, 1),
    "lattice": lambda n: points(n, 3, ties=True),
    "offset": lambda n: points(n, 24) + 1e3,
    "small on a large offset": lambda n: 1e-6 * points(n, 24) + 1e3,
    "two far clusters": lambda n: points(n, 24) + 1e6 * (torch.arange(n) % 2)[:, None],
    "an outlier": lambda n: torch.cat([points(n - 1, 24), torch.full((1, 24), 1e9, dtype=torch.float64)]),
    "one point": lambda n: torch.ones(n, 24, dtype=torch.float64),
}
