import numpy as np
import pytest

from genbench.metrics.single_products import add_own_products, add_products, mirror_upper


def whole_numbers(n, k, seed, beside=0):
    """Rows of a wider table. Products of such numbers and their sums are exact in single precision."""
    rng = np.random.default_rng(seed)
    return rng.integers(-8, 9, (n, k + beside)).astype(np.float32)[:, :k]


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize(("n", "m", "k"), [(5, 7, 3), (1, 7, 3), (5, 1, 3), (5, 7, 1), (1, 1, 1), (40, 300, 600)])
def test_products_are_put_into_a_part_of_a_table_and_nowhere_else(n, m, k, empty):
    a, b = whole_numbers(n, k, 0, beside=2), whole_numbers(m, k, 1, beside=5)
    table = whole_numbers(n + 2, m + 9, 2).copy()
    if empty:
        table[1 : n + 1, 4 : m + 4] = np.nan
    expected = table.copy()
    expected[1 : n + 1, 4 : m + 4] = a @ b.T + (0 if empty else expected[1 : n + 1, 4 : m + 4])
    add_products(table[1 : n + 1, 4 : m + 4], a, b, empty=empty)
    assert np.array_equal(table, expected)


@pytest.mark.parametrize("n", [1, 6, 300])
def test_own_products_are_the_upper_half_until_they_are_mirrored(n):
    a = whole_numbers(n, 40, 0, beside=3)
    table = np.full((n, n + 5), -1, np.float32)
    add_own_products(table[:, 2 : n + 2], a[:, :15], empty=True)
    add_own_products(table[:, 2 : n + 2], a[:, 15:], empty=False)
    assert np.array_equal(np.triu(table[:, 2 : n + 2]), np.triu(a @ a.T))
    assert (np.tril(table[:, 2 : n + 2], -1) == -np.tri(n, k=-1)).all()
    mirror_upper(table[:, 2 : n + 2])
    assert np.array_equal(table[:, 2 : n + 2], a @ a.T)
    assert (table[:, :2] == -1).all()
    assert (table[:, n + 2 :] == -1).all()


def test_nothing_is_done_for_no_rows():
    add_products(np.empty((0, 4), np.float32), np.empty((0, 3), np.float32), whole_numbers(4, 3, 0), empty=True)
    add_own_products(np.empty((0, 0), np.float32), np.empty((0, 3), np.float32), empty=True)


def test_other_numbers_than_single_ones_are_refused():
    with pytest.raises(TypeError, match="float32"):
        add_products(np.empty((2, 2), np.float32), np.ones((2, 3)), np.ones((2, 3), np.float32), empty=True)
    with pytest.raises(TypeError, match="side by side"):
        add_products(
            np.empty((2, 2), np.float32), np.ones((3, 2), np.float32).T, np.ones((2, 3), np.float32), empty=True
        )
