"""What the audit found: one promise of one metric, what it asks for, what came out, and whether that is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from genbench.errors import ProtocolError

SCHEMA_VERSION = 1

Part = Literal["known answer", "coverage", "null", "bias", "direction", "ladder", "stability"]
"""What kind of promise: the order in which tables show them."""

PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One promise of one metric on one case.

    Attributes
    ----------
    part : str
        One of `PARTS`.
    metric : str
        The name under which the metric is registered, or ``package.module:attribute``; with its space, as in
        ``fd@digits-cnn.pool``, where one was used.
    case : str
        The data and the quantity, in a few words.
    expected : str
        What the metric promises, as a number or in words.
    found : float or None
        What came out; None where nothing did (``note`` says why).
    low, high : float or None
        What may come out, ends included; None where that side is open.
    ok : bool or None
        Whether the promise is kept. None where nothing was promised and ``found`` is only told, and where nothing was
        found and so nothing could be decided.
    note : str
        Where the bounds come from, or why there is no result.
    """

    part: Part
    metric: str
    case: str
    expected: str
    found: float | None
    low: float | None = None
    high: float | None = None
    ok: bool | None
    note: str = ""

    @property
    def undecided(self) -> bool:
        """Whether nothing came out that could be judged."""
        return self.ok is None and self.found is None and self.part != "stability"

    @property
    def miss(self) -> float:
        """How far off it is: distance from the middle in half-widths of the bounds, above 1 outside of them.

        With one open side, 0 within the bound and infinite outside of it, as where no bound is given.
        """
        if self.ok is None:
            return 0.0
        if self.found is None or self.low is None or self.high is None or self.high <= self.low:
            return 0.0 if self.ok else math.inf
        return abs(2 * self.found - self.low - self.high) / (self.high - self.low)


def within(
    part: Part,
    metric: str,
    case: str,
    found: float,
    *,
    low: float | None = None,
    high: float | None = None,
    expected: str = "",
    note: str = "",
) -> Finding:
    """Hold a number against its bounds; one that is not finite keeps no promise.

    Parameters
    ----------
    part, metric, case, found, low, high, note
        Of `Finding`.
    expected : str
        In words; by default the bounds themselves.
    """
    finite = math.isfinite(found)
    ok = finite and (low is None or found >= low) and (high is None or found <= high)
    return Finding(
        part=part,
        metric=metric,
        case=case,
        expected=expected or _bounds(low, high),
        found=found if finite else None,
        low=low,
        high=high,
        ok=ok,
        note=note if finite else f"not finite; {note}".removesuffix("; "),
    )


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    return f"at least {low:.4g}" if low is not None else f"at most {high:.4g}" if high is not None else "a number"


def findings_to_json(findings: Iterable[Finding], **about: Any) -> str:
    """Serialize findings, with facts about the audit such as its seed beside them.

    Numbers that are not finite are refused by JSON; `within` keeps them out.
    """
    document = {"schema_version": SCHEMA_VERSION, **about, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def findings_from_json(text: str) -> list[Finding]:
    """Read back what `findings_to_json` wrote.

    Raises
    ------
    ProtocolError
        If the text holds no findings, or those of a schema that this version does not know.
    """
    try:
        document = json.loads(text)
        if document["schema_version"] != SCHEMA_VERSION:
            raise ProtocolError(
                f"audit: schema_version {SCHEMA_VERSION} expected, got {document['schema_version']!r}; "
                "run the audit again."
            )
        return [Finding(**row) for row in document["findings"]]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProtocolError(f"audit: not the findings of an audit ({error}); run the audit again.") from error
