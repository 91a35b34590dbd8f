"""Who lies within whose neighbourhood, for all samples and for random halves at once, ladder: radii, pairs, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar
from weakref import ReferenceType, ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genbench.metrics.balls import Around, Side
from genbench.metrics.bits import count_parts
from genbench.metrics.distances import row_blocks
from genbench.metrics.features import Features
from genbench.metrics.nearest import announce_neighbours, neighbours_among
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.metrics.sweep import Screen, announce, screen_of, swept_among
from genbench.metrics.trees import is_narrow
from genbench.randomness import derive_seed
from genbench.stats.half_sampling import DRAWS

MAX_DRAWS = 61
PAIRS = 2**19
"""How many pairs are looked up at a time; some 20 numbers are held for each."""

Scores = Mapping[str, NDArray[np.float64]]


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
    The radii are those of the lists of neighbours within either set, which other metrics share. Then one sweep over the
    distances between the sets looks for the pairs closer than the largest radius of any part: O(n m d) operations as
    matrix products, and some 0.3 microseconds for each such pair. In few dimensions, and where nobody asks for halves
    (then other metrics ask the same in both directions), the neighbours between the sets are listed instead; a
    neighbourhood with more of them in it than the lists are deep is compared with the whole other set.
    """
    want = Inside.of(generated, reference, ks, seed, draws)
    if _in_one_sweep(generated, draws):
        found: Scores = swept_among(generated, reference, want)[0]
        return found
    around = _both_around(generated, reference, want)
    for each, (centres, others) in zip(around, ((generated, reference), (reference, generated)), strict=True):
        _enter_listed(each, neighbours_among(centres, others, 8 * max(ks)))
    return _scores(*around, ks, draws)


def announce_scores(
    generated: Features, reference: Features, *, ks: tuple[int, int], seed: int, draws: int = DRAWS
) -> None:
    """Say that `neighbourhood_scores` will be asked for; see `genbench.metrics.sweep`."""
    for each in (generated, reference):
        announce_neighbours(each, 8 * max(ks))
    if _in_one_sweep(generated, draws):
        announce(Inside.of(generated, reference, ks, seed, draws), generated, reference)
    elif generated is not reference:
        announce_neighbours(generated, 8 * max(ks), reference)


def _in_one_sweep(generated: Features, draws: int) -> bool:
    return draws > 0 and not is_narrow(generated.given)


@dataclass(frozen=True, slots=True)
class Inside:
    """The wish for the scores of neighbourhoods, a `genbench.metrics.sweep.Want`.

    Attributes
    ----------
    sets : tuple of weak references to Features
        Generated and reference: remembered with the one it must not keep the other alive.
    ks, seed, draws
        As for `neighbourhood_scores`.
    """

    mirrors: ClassVar[bool] = False
    takes_single: ClassVar[bool] = True
    sets: tuple[ReferenceType[Features], ReferenceType[Features]]
    ks: tuple[int, int]
    seed: int
    draws: int

    @classmethod
    def of(cls, generated: Features, reference: Features, ks: tuple[int, int], seed: int, draws: int) -> Inside:
        """Wish for the scores of two sets."""
        return cls((ref(generated), ref(reference)), ks, seed, draws)

    def reader(self, points: Tensor, others: Tensor) -> InsideReader:
        """Make a reader that looks for the pairs; the radii are found first, in sweeps of their own."""
        generated, reference = (each() for each in self.sets)
        assert generated is not None
        assert reference is not None
        return InsideReader(_both_around(generated, reference, self), self.ks, self.draws)


class InsideReader:
    """Enters the pairs of two sets of which one lies within the other's largest radius.

    Parameters
    ----------
    around : tuple of Around
        The generated samples, and the reference's.
    ks, draws
        As for `neighbourhood_scores`.
    """

    needs_products = False
    needs_double = False

    def __init__(self, around: tuple[Around, Around], ks: tuple[int, int], draws: int) -> None:
        self._around, self._ks, self._draws = around, ks, draws
        self._reach: tuple[Tensor, Tensor] | None = None

    def read(self, screen: Screen, rows: slice, block: Tensor) -> None:
        """Take in the squares of some generated samples to all of the reference."""
        ours, theirs = self._around
        if self._reach is None:
            self._reach = (
                _reach(ours.side.reach, screen, screen.point_norms).to(block) * (1 + 2.0**-22),
                _reach(theirs.side.reach, screen, screen.other_norms).to(block) * (1 + 2.0**-22),
            )
        for each, limits in ((ours, self._reach[0][rows, None]), (theirs, self._reach[1])):
            for i, j in _pairs(block <= limits):
                low, high = _bounds(screen, block[i, j], screen.point_norms[rows][i], screen.other_norms[j])
                if each is ours:
                    each.enter(i + rows.start, j, low, high)
                else:
                    each.enter(j, i + rows.start, low, high)

    def result(self, screen: Screen) -> tuple[Scores, Scores]:
        """Return the scores."""
        found = _scores(*self._around, self._ks, self._draws)
        return found, found


def _reach(radii: Tensor, screen: Screen, norms: Tensor) -> Tensor:
    """Return up to which square of a screen a sample may lie within these radii of centres with these norms.

    Only samples y with |y| <= |x| + r can lie within r of x, so that an outlier widens nobody else's limit.
    """
    radius = radii / screen.scale
    return radius.square() + screen.slack * (2 * norms + radius).square() + screen.floor


def _bounds(screen: Screen, squares: Tensor, norms: Tensor, other_norms: Tensor) -> tuple[Tensor, Tensor]:
    """Return between which distances those of pairs lie, given a screen's squares."""
    squares, error = squares.double(), screen.slack * (norms + other_norms).square() + screen.floor
    unit = screen.scale**2
    return (squares - error).mul_(unit).clamp_(min=0).sqrt_(), (squares + error).mul_(unit).clamp_(min=0).sqrt_()


def _pairs(wanted: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows and columns of the true entries of a matrix, at most `PAIRS` at a time."""
    if wanted.device.type == "cpu":
        # Numpy finds them thrice as fast.
        places = torch.from_numpy(np.flatnonzero(wanted.numpy()))
    else:
        places = torch.nonzero(wanted.flatten()).squeeze(1)
    for part in (places[start : start + PAIRS] for start in range(0, len(places), PAIRS)):
        yield part // wanted.shape[1], part % wanted.shape[1]


def _both_around(generated: Features, reference: Features, want: Inside) -> tuple[Around, Around]:
    ours = Side(generated, want.ks, derive_seed(want.seed, "generated halves"), want.draws)
    theirs = Side(reference, want.ks, derive_seed(want.seed, "reference halves"), want.draws)
    return Around(ours, theirs), Around(theirs, ours)


def _scores(ours: Around, theirs: Around, ks: tuple[int, int], draws: int) -> Scores:
    """Put the scores together from what lies around the generated samples, and around the reference's."""
    parts = 1 + draws
    n, m = count_parts(ours.side.members, parts), count_parts(theirs.side.members, parts)
    precision, recall = count_parts(theirs.found, parts) / n, count_parts(ours.found, parts) / m
    return {
        "precision": precision,
        "recall": recall,
        "density": theirs.held[:parts] / (ks[1] * n),
        "coverage": count_parts(theirs.covered, parts) / m,
        "precision_symmetric": np.minimum(precision, count_parts(ours.holding, parts) / n),
        "recall_symmetric": np.minimum(recall, count_parts(theirs.holding, parts) / m),
    }


def _enter_listed(around: Around, lists: NeighbourLists) -> None:
    """Enter the pairs that the lists of the centres' neighbours in the other set hold."""
    least, most, indices = lists.bounds()
    # A ball that reaches beyond the last one listed may hold more.
    overfull = lists.beyond <= around.side.reach
    for i, place in _pairs((least <= around.side.reach[:, None]) & ~overfull[:, None]):
        around.enter(i, indices[i, place], least[i, place], most[i, place])
    centres = torch.nonzero(overfull).squeeze(1)
    if not len(centres):
        return
    screen = screen_of(lists.points[centres], lists.others)
    limits = _reach(around.side.reach[centres], screen, screen.point_norms)[:, None]
    for rows in row_blocks(len(centres), len(lists.others)):
        block, norms = screen.block(rows), screen.point_norms[rows]
        for i, j in _pairs(block <= limits[rows]):
            low, high = _bounds(screen, block[i, j], norms[i], screen.other_norms[j])
            around.enter(centres[rows][i], j, low, high)
