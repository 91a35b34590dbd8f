"""What the gate found: a verdict for every metric, and one for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Literal

from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, EXIT_REGRESSION
from genbench.records import Better
from genbench.stats.noninferiority import Verdict

Unit = Literal["samples", "seeds"]
"""What counts as a repeat: a generated sample, so that two generators are compared; or a training, so that two ways to
train are."""

EXIT_OF: Mapping[Verdict, int] = {
    "pass": EXIT_OK,
    "regression": EXIT_REGRESSION,
    "improvement": EXIT_REGRESSION,
    "inconclusive": EXIT_NOT_EVALUABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric of a check.

    Attributes
    ----------
    metric : str
        Key, such as ``fd@digits-cnn.pool``.
    better : {"lower", "higher", "match"}
        Of a metric that is to match real data, everything here is the distance from what real data score.
    baseline, new : float
        Debiased scores where both sides have such (``debiased``), else as the field reports them; means over runs.
    difference, low, high : float
        New minus baseline; the bounds are one-sided, at the level of the check each, and None where nothing is known of
        the error.
    margin : float
        How much worse is not worse enough to matter; at least 0.
    margin_from : str
        Where the margin comes from, in words.
    p_regression : float
        Of "worse by at most the margin", adjusted for the number of metrics (Holm).
    p_inferior : float
        Of "worse by the margin or more".
    p_better : float
        Of "not better".
    n_new, n_baseline : int
        Generated samples of each side.
    """

    metric: str
    better: Better
    debiased: bool
    baseline: float
    new: float
    difference: float
    low: float | None
    high: float | None
    std_error: float | None
    degrees: float
    margin: float
    margin_from: str
    p_regression: float
    p_inferior: float
    p_better: float
    n_new: int
    n_baseline: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result:
    """A check and its verdict.

    Attributes
    ----------
    verdict : {"pass", "regression", "improvement", "inconclusive"}
        ``regression`` if any metric is one, at the level of the whole check (Holm); ``pass`` only if every metric is
        within its margin; else ``inconclusive``. ``improvement`` only where two-sided findings were asked for.
    unit : {"samples", "seeds"}
    runs_new, runs_baseline : int
    looks : int
        How often the new generator was looked at, with twice the samples each time.
    most_looks : int
        How often it might have been; each look has ``alpha`` of the check's level.
    level : float
        Chance of a false alarm of the whole check.
    alpha : float
        Level of every one-sided test at a look: ``level / most_looks``.
    concludes : str
        What the unit allows to conclude, and what not.
    notes : tuple of str
        Advice, and differences of software or machine that the reader should know of.
    """

    verdict: Verdict
    unit: Unit
    benchmark: str
    name_new: str
    name_baseline: str
    against: str
    runs_new: int
    runs_baseline: int
    looks: int
    most_looks: int
    level: float
    alpha: float
    two_sided: bool
    concludes: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 pass, 1 regression or, where asked for, improvement; 3 inconclusive."""
        return EXIT_OF[self.verdict]

    def to_json(self) -> str:
        """Serialize; the fields are those of this class and of `Row`."""
        return json.dumps({**asdict(self), "exit_code": self.exit_code}, indent=1, allow_nan=False) + "\n"

    def __str__(self) -> str:
        from genbench.gate.text import terminal_text

        return terminal_text(self)

    def __repr__(self) -> str:
        from genbench.gate.text import headline

        return f"<Result {headline(self)}>"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
