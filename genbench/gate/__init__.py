"""The regression gate: is a generator worse than a committed baseline? Pass, regression, or more data are needed."""

from genbench.gate.decision import check as check
from genbench.gate.decision import make_baseline as make_baseline
from genbench.gate.result import Result as Result

__all__ = ["Result", "check", "make_baseline"]
