"""A gate on a trained generator: the same one passes, an earlier one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.gate import check, make_baseline
from genbench.gate.baseline import read_baseline, write_baseline
from tests.by_budget import trained

N = 9600


@pytest.mark.slow
def test_a_checkpoint_passes_against_itself_and_a_quarter_of_its_training_does_not(
    wgan_gp_on_digits: Path, tmp_path: Path
) -> None:
    """WGAN-GP on digits by its committed budget.

    The noise of the difference is .14 at this n and the score 2.9, so that the margin of 20% is four errors above no
    difference: three looks at 2.3 errors each leave it open with probability .02 (were it below the noise of the seed).
    A quarter of the training scores 11, some fifty errors worse.
    """
    early = make_baseline(trained("digits", "wgan-gp", wgan_gp_on_digits / "1.pt", quarters=1), benchmark="digits", n=N)
    final = trained("digits", "wgan-gp", wgan_gp_on_digits / "4.pt")
    write_baseline(tmp_path / "gate.json", make_baseline(final, benchmark="digits", n=N, margin="20%"))
    gate = read_baseline(tmp_path / "gate.json")
    same = check(final, gate, seed=1)
    assert (same.verdict, same.unit) == ("pass", "samples")
    assert same.rows[0].difference != 0
    worse = check(early.runs, gate)
    assert (worse.verdict, worse.exit_code) == ("regression", 1)
    assert worse.rows[0].low is not None
    assert worse.rows[0].low > worse.rows[0].margin
