"""Who lies within whose neighbourhood, for all samples and for random halves at once, from the lists of neighbours.

The halves are the bits of a word: bit p of a sample is set if it belongs to part p (part 0 is all samples). A pair of
samples is looked up once among the radii of either one, which answers for every part together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.distances import distances_of_pairs, row_blocks
from genbench.metrics.features import Features
from genbench.metrics.nearest import neighbours_among, neighbours_within
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.metrics.sweep import screen_of
from genbench.randomness import derive_seed
from genbench.stats.half_sampling import DRAWS, halves

MAX_DRAWS = 61
PAIRS = 2**19
"""How many pairs are looked up at a time; some 20 numbers are held for each."""

Scores = Mapping[str, NDArray[np.float64]]
Bits = NDArray[np.int64]


def neighbourhood_scores(
    generated: Features, reference: Features, *, ks: tuple[int, int], seed: int, draws: int = DRAWS
) -> Scores:
    """Compute the six scores of all samples and of random halves of both sets.

    Parameters
    ----------
    generated, reference : Features
        (n, d) and (m, d); halves must have more samples than the larger k.
    ks : tuple of int
        Neighbour for precision and recall, and for density and coverage.
    seed : int
        Of the halves.
    draws : int
        Number of halves, at most 61; 0 for none.

    Returns
    -------
    mapping of str to (1 + draws,) float64 array
        ``precision``, ``recall``, ``density``, ``coverage``, ``precision_symmetric``, ``recall_symmetric``; the first
        entry is of all samples.

    Notes
    -----
    The lists of neighbours, shared with other metrics, hold all the pairs that matter, except for a neighbourhood with
    more samples of the other set in it than the lists are deep: that one is compared with the whole other set. So
    O(n m d) operations as matrix products, and up to twice as many where one set lies deep within the other's
    neighbourhoods; and some 0.3 microseconds for each pair closer than the largest radius of any part.
    """
    ours = _Side(generated, ks, derive_seed(seed, "generated halves"), draws)
    theirs = _Side(reference, ks, derive_seed(seed, "reference halves"), draws)
    deep = 8 * max(ks)
    around_theirs = _Around(theirs, ours.members, neighbours_among(reference, generated, deep))
    around_ours = _Around(ours, theirs.members, neighbours_among(generated, reference, deep))
    parts = 1 + draws
    n, m = _count(ours.members, parts), _count(theirs.members, parts)
    precision, recall = _count(around_theirs.found, parts) / n, _count(around_ours.found, parts) / m
    return {
        "precision": precision,
        "recall": recall,
        "density": around_theirs.held[:parts] / (ks[1] * n),
        "coverage": _count(around_theirs.covered, parts) / m,
        "precision_symmetric": np.minimum(precision, _count(around_ours.holding, parts) / n),
        "recall_symmetric": np.minimum(recall, _count(around_theirs.holding, parts) / m),
    }


class _Side:
    """One set, and the neighbourhoods around its samples in every part.

    Attributes
    ----------
    members : (n,) int64 array
        Bits of the parts that each sample is in.
    reach : (n,) tensor
        Its largest radius in any part.
    radii : _Radii
    """

    def __init__(self, features: Features, ks: tuple[int, int], seed: int, draws: int) -> None:
        members = np.ones((1, features.n), dtype=bool)
        if draws:
            members = np.concatenate([members, halves(features.n, seed=seed, draws=draws)])
        alive = torch.from_numpy(members).to(features.values.device)
        # Deep enough that the k-th neighbour in a half is practically always among the listed ones.
        lists = neighbours_within(features, 8 * max(ks))
        found = lists.kth_in_parts(list(dict.fromkeys(ks)), alive)
        radii = [torch.where(alive.T, radius, -1.0) for radius in found]
        self.members: Bits = (members.astype(np.int64) << np.arange(1 + draws)[:, None]).sum(axis=0)
        self.reach = torch.stack([kind.amax(dim=1) for kind in radii]).amax(dim=0)
        self.radii = _Radii(radii)


class _Around:
    """What of the other set lies in the neighbourhoods around one set's samples.

    Parameters
    ----------
    side : _Side
        Around whose samples.
    members : (m,) int64 array
        Bits of the parts that each sample of the other set is in.
    lists : NeighbourLists
        Of the side's samples in the other set.

    Attributes
    ----------
    found : (m,) int64 array
        Bits of the parts in which a sample of the other set lies in a neighbourhood.
    holding : (n,) int64 array
        Bits of the parts in which a sample's neighbourhood holds one of the other set.
    covered : (n,) int64 array
        The same for balls, the edge not counted.
    held : (64,) int64 array
        For each part, how many samples the balls hold in all.
    """

    def __init__(self, side: _Side, members: Bits, lists: NeighbourLists) -> None:
        self._side, self._members, self._lists = side, members, lists
        n = len(side.members)
        self.found, self.held = np.zeros(len(members), dtype=np.int64), np.zeros(64, dtype=np.int64)
        self.holding, self.covered = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        low, high, indices = lists.bounds()
        listed = low <= side.reach[:, None]
        # A ball that reaches beyond the last one listed may hold more.
        overfull = lists.beyond <= side.reach
        i, place = torch.nonzero(listed & ~overfull[:, None], as_tuple=True)
        for part in (slice(start, start + PAIRS) for start in range(0, len(i), PAIRS)):
            pairs = i[part], place[part]
            self._enter(i[part], indices[pairs], low[pairs], high[pairs])
        self._compare_with_all(torch.nonzero(overfull).squeeze(1))

    def _compare_with_all(self, centres: Tensor) -> None:
        """Look among all samples of the other set for those around the given samples."""
        if not len(centres):
            return
        screen = screen_of(self._lists.points[centres], self._lists.others)
        norms, other_norms, unit = screen.point_norms, screen.other_norms, screen.scale**2
        for rows in row_blocks(len(centres), len(self._members)):
            block = screen.block(rows)
            error = screen.slack * (norms[rows] + other_norms.max()).square() + screen.floor
            reach = self._side.reach[centres[rows]].square() / unit + error
            i, j = torch.nonzero(block <= reach[:, None], as_tuple=True)
            for part in (slice(start, start + PAIRS) for start in range(0, len(i), PAIRS)):
                near = block[i[part], j[part]].double()
                error = screen.slack * (norms[rows][i[part]] + other_norms[j[part]]).square() + screen.floor
                low, high = ((near + sign * error).mul_(unit).clamp_(min=0).sqrt_() for sign in (-1, 1))
                self._enter(centres[rows][i[part]], j[part], low, high)

    def _enter(self, i: Tensor, j: Tensor, lowest: Tensor, highest: Tensor) -> None:
        """Enter pairs of the side's samples i and the others' j, whose distances lie between the two given ones."""
        radii = self._side.radii
        at_least, above = radii.below(i, lowest, equal=False), radii.below(i, highest, equal=True)
        # Where a radius lies between the two the exact distance decides; so it does for equal samples.
        close = torch.nonzero((at_least != above) | (lowest == 0)).squeeze(1)
        same = torch.zeros_like(i, dtype=torch.bool)
        if len(close):
            exact = distances_of_pairs(self._lists.points, self._lists.others, i[close], j[close])
            same[close] = exact == 0
            at_least[close] = radii.below(i[close], exact, equal=False)
            above[close] = radii.below(i[close], exact, equal=True)
        manifold, ball = radii.masks[0], radii.masks[-1]
        # A ball of radius zero covers the samples that equal its centre.
        inside = torch.where(same, ball[i, at_least], ball[i, above])
        rows, columns = i.cpu().numpy(), j.cpu().numpy()
        here = self._members[columns]
        held = manifold[i, at_least].cpu().numpy() & here
        np.bitwise_or.at(self.found, columns, held)
        np.bitwise_or.at(self.holding, rows, held)
        np.bitwise_or.at(self.covered, rows, inside.cpu().numpy() & here)
        self.held += _bit_counts(ball[i, at_least].cpu().numpy() & here)


class _Radii:
    """The radii of every sample in every part, sorted, with the parts that have such a radius or a larger one.

    Parameters
    ----------
    kinds : sequence of (n, parts) tensors
        Radii by kind (manifold, ball); negative for a sample that the part does not have.
    """

    def __init__(self, kinds: Sequence[Tensor]) -> None:
        parts = kinds[0].shape[1]
        radii, order = torch.cat(list(kinds), dim=1).sort(dim=1)
        bits = torch.bitwise_left_shift(torch.ones_like(order), order % parts)
        self.masks = []
        for kind in range(len(kinds)):
            # A part has one radius of each kind, so that sums of its bits are unions.
            own = torch.where(order // parts == kind, bits, 0)
            above = own.flip(1).cumsum(1).flip(1)
            self.masks.append(torch.nn.functional.pad(above, (0, 1)))
        self._steps = [2**power for power in reversed(range(radii.shape[1].bit_length()))]
        width = 2 * self._steps[0] - 1
        self._width = width
        self._sorted = torch.nn.functional.pad(radii, (0, width - radii.shape[1]), value=torch.inf).flatten()

    def below(self, rows: Tensor, distances: Tensor, *, equal: bool) -> Tensor:
        """Count the radii of the given samples that are below the distances, or equal to them: (pairs,) int64."""
        start: Tensor = rows * self._width - 1
        place: Tensor = start
        for step in self._steps:
            probed = self._sorted[place + step]
            fits = probed <= distances if equal else probed < distances
            place = place + step * fits
        count: Tensor = place - start
        return count


def _bit_counts(words: Bits) -> NDArray[np.int64]:
    """Count for each of the 64 bits the words that have it set."""
    octets = np.ascontiguousarray(words).astype("<i8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)
    return np.concatenate([np.bincount(octets[:, byte], minlength=256) @ bits for byte in range(8)])


def _count(words: Bits, parts: int) -> NDArray[np.float64]:
    return _bit_counts(words)[:parts].astype(np.float64)
