import pytest
import torch

from genbench.metrics.distances import pairwise_distances
from genbench.metrics.nearest import lists_among, lists_within
from genbench.metrics.trees import NARROW, is_narrow
from tests.metrics.hard_points import points

LOW = {
    "plain": lambda n, d: points(n, d),
    "lattice": lambda n, d: points(n, d, ties=True),
    "one point": lambda n, d: torch.ones(n, d, dtype=torch.float64),
    "offset": lambda n, d: points(n, d) + 1e6,
    "duplicates": lambda n, d: points(n // 4, d).repeat(4, 1),
}


@pytest.mark.parametrize("kind", LOW)
@pytest.mark.parametrize("d", range(1, NARROW + 1))
@pytest.mark.parametrize("depth", [1, 7, 1000])
def test_a_tree_lists_the_exact_neighbours(kind, d, depth):
    x, y = LOW[kind](80, d), torch.cat([LOW[kind](40, d), points(20, d, seed=3)])
    assert is_narrow(x)
    within = pairwise_distances(x, x).fill_diagonal_(torch.inf)
    forward, backward = lists_among(x, y, depth)
    for lists, distances in (
        (lists_within(x, depth), within),
        (forward, pairwise_distances(x, y)),
        (backward, pairwise_distances(y, x)),
    ):
        assert (lists.distances == distances.sort(dim=1).values[:, :depth]).all()
        assert (lists.distances == distances.gather(1, lists.indices)).all()


def test_wide_points_are_not_put_in_a_tree():
    assert not is_narrow(points(10, NARROW + 1))
