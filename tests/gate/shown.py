"""Results to be shown: made by hand, so that no display test needs a score."""

from __future__ import annotations

from typing import Any

from genbench.gate.result import Result, Row

HOSTILE = "a|b`c\n<img src=x onerror=alert(1)>\x1b[2J*d*_e_[f](g)$h$ \U0001f600\x00\ud800\ufffe\"'"
"""A name with all that could break a table, a page, a terminal, a workflow command or XML."""


def make_row(metric: str = "fd@digits-cnn.pool", **changes: Any) -> Row:
    """A row that passes."""
    fields: dict[str, Any] = {
        "metric": metric,
        "better": "lower",
        "debiased": True,
        "baseline": 3.214,
        "new": 3.301,
        "difference": 0.087,
        "low": -0.02,
        "high": 0.194,
        "std_error": 0.0619,
        "degrees": 19.0,
        "margin": 0.2847,
        "margin_from": "5% of the baseline and 2 standard errors",
        "p_regression": 0.997,
        "p_inferior": 0.00261,
        "p_better": 0.912,
        "n_new": 4000,
        "n_baseline": 4000,
        "verdict": "pass",
    }
    return Row(**{**fields, **changes})


def make_result(*rows: Row, **changes: Any) -> Result:
    """A result of the rows, by default of one that passes; its verdict is the first row's."""
    rows = rows or (make_row(),)
    fields: dict[str, Any] = {
        "verdict": rows[0].verdict,
        "unit": "samples",
        "benchmark": "digits@1",
        "name_new": "wgan-gp",
        "name_baseline": "gan",
        "against": "baselines/digits.json",
        "runs_new": 1,
        "runs_baseline": 1,
        "looks": 1,
        "most_looks": 1,
        "level": 0.05,
        "alpha": 0.05,
        "two_sided": False,
        "concludes": "Repeats are samples: this is about two generators.",
        "rows": rows,
        "notes": (),
    }
    return Result(**{**fields, **changes})


def three_verdicts() -> Result:
    """A regression, something that cannot be told, and a pass; each of another direction."""
    worse = make_row(
        **{"new": 5.5, "difference": 2.286, "low": 2.179, "high": 2.393},
        **{"p_regression": 1e-12, "p_inferior": 1.0, "verdict": "regression"},
    )
    unknown = make_row(
        "recall@digits-cnn.pool",
        **{"better": "higher", "debiased": False, "baseline": 0.912, "new": 0.871, "difference": -0.041},
        **{"low": -0.0712, "high": -0.0108, "margin": 0.0456},
        **{"p_regression": 1.0, "p_inferior": 0.4, "verdict": "inconclusive"},
    )
    fine = make_row(
        "entropy_knn@digits-cnn.pool",
        **{"better": "match", "baseline": 0.1, "new": 0.09, "difference": -0.01, "low": -0.02, "high": 0.0},
        **{"margin": 0.005, "p_inferior": 0.01, "n_new": 8000},
    )
    return make_result(worse, unknown, fine, notes=("The data cannot tell: about 9,000 samples would.",))
