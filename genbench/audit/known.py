"""Known answers: every case of every built-in metric, in one table."""

from __future__ import annotations

from genbench.audit.case import Case
from genbench.audit.cases_classes import CASES as CLASSES
from genbench.audit.cases_copies import CASES as COPIES
from genbench.audit.cases_density import CASES as DENSITY
from genbench.audit.cases_moments import CASES as MOMENTS
from genbench.audit.cases_neighbours import CASES as NEIGHBOURS
from genbench.audit.cases_transport import CASES as TRANSPORT

CASES: tuple[Case, ...] = MOMENTS + TRANSPORT + DENSITY + CLASSES + NEIGHBOURS + COPIES
"""What built-in metrics promise: the data beside what their docstrings say of it."""


def cases_of(name: str) -> tuple[Case, ...]:
    """Return the cases of a registered metric; none where the audit knows no truth about it."""
    return tuple(case for case in CASES if name in case.metrics)
