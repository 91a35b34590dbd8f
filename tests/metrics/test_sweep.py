import gc
import weakref
from dataclasses import dataclass

import pytest
import torch

from genbench.metrics.features import Features
from genbench.metrics.sweep import announce, sweep, swept_among, swept_within
from tests.metrics.hard_points import points


@dataclass(frozen=True)
class Total:
    """The sum of all squares, or products, of pairs: of a set counted in halves, with the leading squares whole."""

    name: str
    products: bool
    mirrors: bool = True

    def reader(self, points, others):
        return TotalReader(self.products, points is others)


class TotalReader:
    made = 0
    needs_double = False

    def __init__(self, products, within):
        TotalReader.made += 1
        self.needs_products, self.within, self.sum, self.rows = products, within, 0.0, []

    def read(self, screen, rows, block):
        own = rows.stop - rows.start
        self.rows.append((rows.start, rows.stop, block.shape[1]))
        self.sum += float(block[:, :own].sum() + 2 * block[:, own:].sum()) if self.within else float(block.sum())

    def result(self, screen):
        return self.sum, -self.sum


SQUARES, PRODUCTS = Total("squares", False), Total("products", True)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * 30 * 7)
    monkeypatch.setattr(TotalReader, "made", 0)


@pytest.mark.parametrize("wants", [[SQUARES], [PRODUCTS, SQUARES], [SQUARES, PRODUCTS]])
def test_every_pair_is_shown_once(wants):
    """Products are of rows centred on the others' mean; 1e-12 allows for sums of 900 terms."""
    x, y = points(30, 4), points(20, 4, seed=1) + 2
    centred = x - x.mean(dim=0)
    shifted = x - y.mean(dim=0)
    within = {SQUARES: torch.cdist(x, x).square().sum(), PRODUCTS: (centred @ centred.T).sum()}
    among = {SQUARES: torch.cdist(x, y).square().sum(), PRODUCTS: (shifted @ (y - y.mean(dim=0)).T).sum()}
    for want, (found, _) in zip(wants, sweep(x, x, wants), strict=True):
        assert found == pytest.approx(float(within[want]), rel=1e-12, abs=1e-11)
    for want, (found, other) in zip(wants, sweep(x, y, wants), strict=True):
        assert found == pytest.approx(float(among[want]), rel=1e-12, abs=1e-11)
        assert other == -found


def test_what_was_announced_is_found_in_the_same_pass(monkeypatch):
    x = Features(points(30, 4))
    announce(PRODUCTS, x)
    announce(SQUARES, x)
    passes = []
    original = sweep
    monkeypatch.setattr(
        "genbench.metrics.sweep.sweep", lambda a, b, wants: passes.append(wants) or original(a, b, wants)
    )
    swept_within(x, SQUARES)
    swept_within(x, PRODUCTS)
    assert passes == [[SQUARES, PRODUCTS]]
    announce(Total("later", False), x)
    swept_within(x, Total("later", False))
    assert passes[1:] == [[Total("later", False)]]


def test_two_sets_are_gone_through_once_from_either_side():
    x, y = Features(points(30, 4)), Features(points(20, 4, seed=1))
    announce(PRODUCTS, x, y)
    forward = swept_among(y, x, PRODUCTS)
    assert forward == swept_among(x, y, PRODUCTS)[::-1]
    assert swept_among(y, x, SQUARES) == swept_among(x, y, SQUARES)[::-1]
    assert TotalReader.made == 2


def test_what_does_not_mirror_is_asked_again_from_the_other_side():
    x, y = Features(points(30, 4)), Features(points(20, 4, seed=1))
    want = Total("one side", False, mirrors=False)
    announce(want, x, y)
    swept_among(y, x, want)
    swept_among(x, y, want)
    assert TotalReader.made == 2


def test_a_set_beside_itself_is_two_sets():
    x = Features(points(30, 4))
    whole = float(torch.cdist(x.values, x.values).square().sum())
    assert swept_among(x, x, SQUARES)[0] == pytest.approx(whole, rel=1e-12)
    assert swept_among(x, x, SQUARES) == swept_among(x, x, SQUARES)
    assert TotalReader.made == 1


def test_announcing_keeps_no_set_alive():
    x, y = Features(points(30, 4)), Features(points(20, 4, seed=1))
    announce(SQUARES, x, y)
    swept_among(y, x, SQUARES)
    gone = weakref.ref(x)
    del x
    gc.collect()
    assert gone() is None
