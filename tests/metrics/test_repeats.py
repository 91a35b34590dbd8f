import pytest
import torch

from genbench.metrics.features import Features
from genbench.metrics.repeats import first_equal, row_keys


def brute(rows):
    return (rows[:, None] == rows[None]).all(dim=2).to(torch.uint8).argmax(dim=1)


@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("values", [2, 1000])
def test_the_first_equal_row_is_found_within_and_across_sets(d, values):
    """Whole numbers, of which the lower half of the bits is empty; of 2 values most rows are repeated where d is 1."""
    rows = torch.randint(values, (300, d), generator=torch.Generator().manual_seed(d)).double() - 1
    rows[200:220] = rows[30:50]
    sets = [Features(part) for part in (rows[:100], rows[100:180], rows[180:])]
    assert (first_equal(*sets) == brute(rows)).all()


def test_zeros_of_either_sign_are_equal():
    assert first_equal(Features([[0.0, 1.0], [-0.0, 1.0]])).tolist() == [0, 0]


def test_rows_that_share_a_key_by_chance_are_told_apart(monkeypatch):
    monkeypatch.setattr("genbench.metrics.repeats.row_keys", lambda values: torch.zeros(len(values), dtype=torch.int64))
    rows = torch.tensor([[1.0], [2.0], [1.0], [3.0]], dtype=torch.float64)
    assert first_equal(Features(rows)).tolist() == [0, 1, 0, 3]


@pytest.mark.parametrize("kind", ["normal", "whole", "single"])
def test_keys_follow_the_row_alone_and_tell_rows_apart(kind, monkeypatch):
    """Of 3,000 rows 4.5 million pairs share a key with a chance of at most 2^-30 each: a failure in 200 at most."""
    rows = torch.randn(3000, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = {"normal": rows, "whole": (1e6 * rows).round(), "single": rows.float().double()}[kind]
    keys = row_keys(rows)
    assert len(set(keys.tolist())) == 3000
    monkeypatch.setattr("genbench.metrics.repeats.AT_ONCE", 50)
    assert (row_keys(rows.flip(0)) == keys.flip(0)).all()
