"""What is computed once for all metrics of an evaluation: the distances within and between sets."""

from collections import Counter
from dataclasses import replace

import pytest

from genbench.benchmarks import load_benchmark
from genbench.definitions import MetricSpec
from genbench.evaluate import Evaluator
from genbench.metrics.distances import SquaredDistances
from genbench.metrics.neighbour_lists import NeighbourLists
from genbench.testing.stage import Stage

NEIGHBOUR_METRICS = (
    "precision",
    "recall",
    "precision_symmetric",
    "recall_symmetric",
    "density",
    "coverage",
    "knn_two_sample",
    "birthday_support",
    "entropy_knn",
    "kl_knn",
    "kl_knn_reverse",
    "entropy_gap_knn",
    "label_test",
    "lower_tail_copies",
    "nn_distance_ratio",
    "copy_rate",
    "auth_pct",
)

N = 300


class Sweeps:
    """Counts the blocks of distances by sets and rows; holds the sets, so that no address is used twice.

    ``again`` counts the rows that are looked at twice, because of ties or of neighbourhoods with very many samples.
    """

    def __init__(self, monkeypatch):
        self.blocks, self.again, self._held = Counter(), 0, []
        products, to_others = SquaredDistances.products, NeighbourLists.to_others

        def counted_products(squares, rows, first=0):
            if len(squares.points) < N:  # a few rows with crowded neighbourhoods, looked at again
                self.again += len(squares.points)
                return products(squares, rows, first)
            self._held += [squares.points, squares.others]
            pair = frozenset({squares.points.data_ptr(), squares.others.data_ptr()})
            self.blocks[pair, rows.start, first] += 1
            return products(squares, rows, first)

        def counted_rows(lists, rows):
            self.again += len(rows)
            return to_others(lists, rows)

        monkeypatch.setattr(SquaredDistances, "products", counted_products)
        monkeypatch.setattr(NeighbourLists, "to_others", counted_rows)


@pytest.fixture
def evaluator():
    """Every metric that asks for neighbours, with its null, on real data played as generated."""
    specs = tuple(MetricSpec(metric=name, extractor="digits-cnn", layer="pool") for name in NEIGHBOUR_METRICS)
    quick = load_benchmark("digits", quick=True)
    return Evaluator(replace(quick, metrics=specs, primary=specs[0].key, curve=()), device="cpu")


@pytest.fixture
def good():
    """Real data that no reference holds."""
    return Stage("digits", ()).samples("good")


def test_every_block_of_distances_is_computed_exactly_once(evaluator, good, monkeypatch):
    """Generated, train and test within themselves, and all three pairs of them; whitened, they are put in trees."""
    monkeypatch.setattr("genbench.metrics.distances.BLOCK_BYTES", 8 * N * 70)
    sweeps = Sweeps(monkeypatch)
    scores = evaluator.score(good, seed=0)
    assert all(score.failure is None for score in scores)
    assert set(sweeps.blocks.values()) == {1}
    starts = Counter(pair for pair, *_ in sweeps.blocks)
    assert set(starts.values()) == {5}  # 300 rows in blocks of 70
    assert sweeps.again <= 0.01 * N * len(starts)
    within = sum(len(pair) == 1 for pair in starts)
    assert (within, len(starts) - within) == (3, 3)


def test_the_real_sets_are_not_gone_through_again_for_the_next_model(evaluator, good, monkeypatch):
    evaluator.score(good, seed=0)
    sweeps = Sweeps(monkeypatch)
    evaluator.score(good.flip(0), seed=0)
    within = sum(len(pair) == 1 for pair, *_ in sweeps.blocks)
    # Generated within itself, and against either split.
    assert (within, len(sweeps.blocks) - within) == (1, 2)
