import numpy as np
import pytest
from scipy.stats import rankdata

from genbench.stats.ranks import mid_ranks


@pytest.mark.parametrize("size", [0, 1, 7, 300])
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_ranks_are_those_of_scipy(size, levels):
    values = np.random.default_rng(size).integers(0, levels, size) / 8
    assert np.array_equal(mid_ranks(values), rankdata(values))


def test_equal_values_share_a_rank():
    assert mid_ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]
