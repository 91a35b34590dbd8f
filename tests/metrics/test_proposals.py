import pytest
import torch

from genbench.metrics.proposals import Smallest


def gathered(matrix, width, *, heights, columns):
    """What `Smallest` keeps of a matrix's rows, or of its columns, seen in blocks of rows of these heights."""
    n, m = matrix.shape
    found, start = Smallest(m if columns else n, width, matrix), 0
    for height in heights:
        rows = slice(start, start + height)
        if columns:
            found.add_columns(slice(0, m), matrix[rows], start)
        else:
            found.add_rows(rows, matrix[rows, : m // 3], 0)
            found.add_rows(rows, matrix[rows, m // 3 :], m // 3)
        start += height
    assert start == n
    return found


@pytest.mark.parametrize("order", ["random", "falling", "rising", "ties"])
@pytest.mark.parametrize("columns", [False, True])
def test_the_smallest_of_every_row_and_column_are_kept(order, columns, monkeypatch):
    """Of 900 by 1,000 values. Falling ones replace all that was kept with every block, rising ones nothing."""
    monkeypatch.setattr("genbench.metrics.proposals.COPIED", 70_000)
    matrix = torch.rand(900, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if order in ("falling", "rising"):
        steps = torch.arange(900.0).flip(0) if order == "falling" else torch.arange(900.0)
        matrix += steps[:, None] + steps.new_tensor(range(1000))
    if order == "ties":
        matrix = (matrix * 20).floor()
    found = gathered(matrix, 10, heights=[100, 1, 300, 499], columns=columns)
    lines = matrix.T if columns else matrix
    assert (found.values.sort(dim=1).values == lines.sort(dim=1).values[:, :10]).all()
    assert (lines.gather(1, found.indices) == found.values).all()
    assert all(len(set(row)) == 10 for row in found.indices.tolist())


def test_an_infinite_value_comes_before_what_is_missing():
    matrix = torch.tensor([[torch.inf, 2.0, 1.0]])
    found = Smallest(1, 3, matrix)
    found.add_rows(slice(0, 1), matrix, 0)
    assert sorted(found.indices[0].tolist()) == [0, 1, 2]
    assert torch.isnan(Smallest(1, 2, matrix).values).all()
