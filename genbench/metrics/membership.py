"""Who lies within whose neighbourhood, for all samples and for random halves at once, from one pass over the distances.

The halves are the bits of a word: bit p of a sample is set if it belongs to part p (part 0 is all samples). A pair of
samples is looked up once among the radii of either one, which answers for every part together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.distances import SquaredDistances, distances_of_pairs, neighbours_within, row_blocks
from genbench.metrics.features import Features
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
    """Compute the six scores of all samples and of random halves of both sets, from one pass over the distances.

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
    O(n m d) operations as matrix products, and some 0.3 microseconds for each pair closer than the largest radius of
    any part: a few pairs for each sample, or all n m where one set lies deep within the other's neighbourhoods.
    """
    ours = _side(generated, ks, derive_seed(seed, "generated halves"), draws)
    theirs = _side(reference, ks, derive_seed(seed, "reference halves"), draws)
    parts = 1 + draws
    found = _Found(*(np.zeros(n, dtype=np.int64) for n in (generated.n, generated.n, *[reference.n] * 3)))
    held = np.zeros(64, dtype=np.int64)
    squares = SquaredDistances(reference.values, generated.values)
    for rows in row_blocks(reference.n, generated.n):
        block = squares.block(rows)
        error = squares.bound(squares.point_norms[rows], squares.other_norms.max())[:, None]
        near = block <= torch.maximum(theirs.reach[rows, None].square(), ours.reach[None, :].square()).add_(error)
        i, j = torch.nonzero(near, as_tuple=True)
        near_squares = block[i, j]
        for part in range(0, len(i), PAIRS):
            pairs = slice(part, part + PAIRS)
            _look_up(squares, near_squares[pairs], i[pairs] + rows.start, j[pairs], (theirs, ours), found, held)
    n, m = _count(ours.members, parts), _count(theirs.members, parts)
    precision, recall = _count(found.in_reference, parts) / n, _count(found.in_generated, parts) / m
    return {
        "precision": precision,
        "recall": recall,
        "density": held[:parts] / (ks[1] * n),
        "coverage": _count(found.covered, parts) / m,
        "precision_symmetric": np.minimum(precision, _count(found.holds_reference, parts) / n),
        "recall_symmetric": np.minimum(recall, _count(found.holds_generated, parts) / m),
    }


@dataclass(frozen=True, slots=True)
class _Found:
    """Bits of the parts in which a sample was found to lie within, or to hold, another.

    The first two are of the generated samples: within a reference sample's neighbourhood, and with a reference sample
    in its own. The others are of the reference samples, the last one for balls and the edge not counted.
    """

    in_reference: Bits
    holds_reference: Bits
    in_generated: Bits
    holds_generated: Bits
    covered: Bits


@dataclass(frozen=True, slots=True)
class _Side:
    """One set: bits of the parts that each sample is in, its largest radius, and the tables of its radii."""

    members: Bits
    reach: Tensor
    radii: _Radii


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


def _look_up(
    squares: SquaredDistances,
    near: Tensor,
    i: Tensor,
    j: Tensor,
    sides: tuple[_Side, _Side],
    found: _Found,
    held: NDArray[np.int64],
) -> None:
    """Enter pairs of reference samples i and generated samples j, by their near squares, into what was found."""
    theirs, ours = sides
    error = squares.bound(squares.point_norms[i], squares.other_norms[j])
    lowest, highest = (near - error).clamp_(min=0).sqrt_(), (near + error).clamp_(min=0).sqrt_()
    at_least = [side.radii.below(at, lowest, equal=False) for side, at in ((theirs, i), (ours, j))]
    above = [side.radii.below(at, highest, equal=True) for side, at in ((theirs, i), (ours, j))]
    # Where a radius lies within the error the exact form decides; this finds equal distances and duplicates as well.
    close = torch.nonzero((at_least[0] != above[0]) | (at_least[1] != above[1])).squeeze(1)
    same = torch.zeros_like(i, dtype=torch.bool)
    if len(close):
        exact = distances_of_pairs(squares.points, squares.others, i[close], j[close])
        same[close] = exact == 0
        for index, (side, at) in enumerate(((theirs, i), (ours, j))):
            at_least[index][close] = side.radii.below(at[close], exact, equal=False)
            above[index][close] = side.radii.below(at[close], exact, equal=True)
    manifold, ball = theirs.radii.masks[0], theirs.radii.masks[-1]
    # A ball of radius zero covers the samples that equal its centre.
    inside = torch.where(same, ball[i, at_least[0]], ball[i, above[0]])
    rows, columns = i.cpu().numpy(), j.cpu().numpy()
    here, there = ours.members[columns], theirs.members[rows]
    in_reference = manifold[i, at_least[0]].cpu().numpy() & here
    in_generated = ours.radii.masks[0][j, at_least[1]].cpu().numpy() & there
    np.bitwise_or.at(found.in_reference, columns, in_reference)
    np.bitwise_or.at(found.holds_generated, rows, in_reference)
    np.bitwise_or.at(found.in_generated, rows, in_generated)
    np.bitwise_or.at(found.holds_reference, columns, in_generated)
    np.bitwise_or.at(found.covered, rows, inside.cpu().numpy() & here)
    held += _bit_counts(ball[i, at_least[0]].cpu().numpy() & here)


def _bit_counts(words: Bits) -> NDArray[np.int64]:
    """Count for each of the 64 bits the words that have it set."""
    octets = np.ascontiguousarray(words).astype("<i8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)
    return np.concatenate([np.bincount(octets[:, byte], minlength=256) @ bits for byte in range(8)])


def _count(words: Bits, parts: int) -> NDArray[np.float64]:
    return _bit_counts(words)[:parts].astype(np.float64)


def _side(features: Features, ks: tuple[int, int], seed: int, draws: int) -> _Side:
    """Draw the halves of one set and find the radii within each."""
    members = np.ones((1, features.n), dtype=bool)
    if draws:
        members = np.concatenate([members, halves(features.n, seed=seed, draws=draws)])
    alive = torch.from_numpy(members).to(features.values.device)
    # Deep enough that the k-th neighbour in a half is practically always among the listed ones.
    lists = neighbours_within(features, 8 * max(ks))
    radii = [
        torch.stack([torch.where(part, lists.kth(k, part)[0], -1.0) for part in alive], dim=1)
        for k in dict.fromkeys(ks)
    ]
    words = (members.astype(np.int64) << np.arange(1 + draws)[:, None]).sum(axis=0)
    return _Side(words, torch.stack([kind.amax(dim=1) for kind in radii]).amax(dim=0), _Radii(radii))
