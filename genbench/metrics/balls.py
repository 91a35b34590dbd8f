"""Neighbourhoods around one set's samples in many parts of it at once, and what of another set lies in them.

The parts are the bits of a word: bit p of a sample is set if it belongs to part p (part 0 is all samples). A pair of
samples is looked up once among the radii of either one, which answers for every part together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.bits import Words, bit_counts
from genbench.metrics.distances import distances_of_pairs
from genbench.metrics.features import Features
from genbench.metrics.nearest import neighbours_within
from genbench.stats.half_sampling import halves


class Side:
    """One set, and the neighbourhoods around its samples in every part.

    Attributes
    ----------
    points : (n, d) tensor
    members : (n,) int64 array
        Bits of the parts that each sample is in.
    reach : (n,) tensor
        Its largest radius in any part, or more.
    radii : Radii
    errors : (n,) tensor
        How far the squares of its radii may be from exact.
    """

    def __init__(self, features: Features, ks: tuple[int, int], seed: int, draws: int) -> None:
        members = np.ones((1, features.n), dtype=bool)
        if draws:
            members = np.concatenate([members, halves(features.n, seed=seed, draws=draws)])
        alive = torch.from_numpy(members).to(features.given.device)
        self._alive, self._ks = alive, list(dict.fromkeys(ks))
        # Deep enough that the k-th neighbour in a half is practically always among the listed ones.
        self._lists = neighbours_within(features, 8 * max(ks))
        radii, self.errors = self._about(torch.arange(features.n, device=alive.device))
        self.points = self._lists.points
        self.members: Words = (members.astype(np.int64) << np.arange(1 + draws)[:, None]).sum(axis=0)
        largest = torch.stack([kind.amax(dim=1) for kind in radii]).amax(dim=0)
        self.reach = (largest.square() + self.errors).sqrt_()
        self.radii = Radii(radii)

    def _about(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return radii of some samples for each k and part, negative where the part does not have the sample."""
        alive = self._alive[:, rows].T
        radii, errors = self._lists.about_kth_in_parts(self._ks, self._alive, rows)
        return [torch.where(alive, radius, -1.0) for radius in radii], errors

    def settle(self, rows: Tensor, distances: Tensor) -> None:
        """Measure the radii of some samples that could be on either side of these exact distances, (rows,).

        No radius moves across another distance that it was certainly below or above: measured neighbours move by their
        errors at most, and so do the radii.
        """
        wrong = self.errors[rows] > 0
        self._lists.measure_near(rows[wrong], distances[wrong])
        rows = torch.unique(rows[wrong])
        self.radii.replace(rows, self._about(rows)[0])


class Around:
    """What of the other set lies in the neighbourhoods around one set's samples.

    Parameters
    ----------
    side : Side
        Around whose samples.
    other : Side

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

    def __init__(self, side: Side, other: Side) -> None:
        self.side, self.other = side, other
        n, m = len(side.members), len(other.members)
        self.found, self.held = np.zeros(m, dtype=np.int64), np.zeros(64, dtype=np.int64)
        self.holding, self.covered = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)

    def enter(self, i: Tensor, j: Tensor, lowest: Tensor, highest: Tensor) -> None:
        """Enter pairs of the side's samples i and the others' j, whose distances lie between the two given ones."""
        radii, errors = self.side.radii, self.side.errors[i]
        at_least = radii.below(i, (lowest.square() - errors).clamp_(min=0).sqrt_(), equal=False)
        above = radii.below(i, (highest.square() + errors).sqrt_(), equal=True)
        # Where a radius lies between the two the exact distance decides; so it does for equal samples.
        close = torch.nonzero((at_least != above) | (lowest == 0)).squeeze(1)
        same = torch.zeros_like(i, dtype=torch.bool)
        if len(close):
            exact = distances_of_pairs(self.side.points, self.other.points, i[close], j[close])
            self.side.settle(i[close], exact)
            same[close] = exact == 0
            at_least[close] = radii.below(i[close], exact, equal=False)
            above[close] = radii.below(i[close], exact, equal=True)
        manifold, ball = radii.masks[0], radii.masks[-1]
        # A ball of radius zero covers the samples that equal its centre.
        inside = torch.where(same, ball[i, at_least], ball[i, above])
        rows, columns = i.cpu().numpy(), j.cpu().numpy()
        here = self.other.members[columns]
        held = manifold[i, at_least].cpu().numpy() & here
        np.bitwise_or.at(self.found, columns, held)
        np.bitwise_or.at(self.holding, rows, held)
        np.bitwise_or.at(self.covered, rows, inside.cpu().numpy() & here)
        self.held += bit_counts(ball[i, at_least].cpu().numpy() & here)


class Radii:
    """The radii of every sample in every part, sorted, with the parts that have such a radius or a larger one.

    Parameters
    ----------
    kinds : sequence of (n, parts) tensors
        Radii by kind (manifold, ball); negative for a sample that the part does not have.
    """

    def __init__(self, kinds: Sequence[Tensor]) -> None:
        bits = (len(kinds) * kinds[0].shape[1]).bit_length()
        self._steps = [2**power for power in reversed(range(bits))]
        self._sorted, self.masks = self._tables(kinds)

    def replace(self, rows: Tensor, kinds: Sequence[Tensor]) -> None:
        """Put other radii in the place of some samples', (rows, parts) each."""
        self._sorted[rows], masks = self._tables(kinds)
        for own, new in zip(self.masks, masks, strict=True):
            own[rows] = new

    def _tables(self, kinds: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return sorted radii, (n, width) with infinite ones at the end, and for each kind who has those or larger."""
        parts = kinds[0].shape[1]
        radii, order = torch.cat(list(kinds), dim=1).sort(dim=1)
        bits = torch.bitwise_left_shift(torch.ones_like(order), order % parts)
        masks = []
        for kind in range(len(kinds)):
            # A part has one radius of each kind, so that sums of its bits are unions.
            own = torch.where(order // parts == kind, bits, 0)
            above = own.flip(1).cumsum(1).flip(1)
            masks.append(torch.nn.functional.pad(above, (0, 1)))
        width = 2 * self._steps[0] - 1
        return torch.nn.functional.pad(radii, (0, width - radii.shape[1]), value=torch.inf), masks

    def below(self, rows: Tensor, distances: Tensor, *, equal: bool) -> Tensor:
        """Count the radii of the given samples that are below the distances, or equal to them: (pairs,) int64."""
        radii = self._sorted.view(-1)
        start: Tensor = rows * self._sorted.shape[1] - 1
        place: Tensor = start
        for step in self._steps:
            probed = radii[place + step]
            fits = probed <= distances if equal else probed < distances
            place = place + step * fits
        count: Tensor = place - start
        return count
