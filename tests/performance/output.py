"""What was measured, as JSON for programs and Markdown for people."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from tests.performance.case import Case
from tests.performance.measure import Rates, Row


@dataclass(frozen=True)
class Measured:
    """A case, at the sizes it had, with what was found."""

    case: Case
    sizes: dict[str, int]
    least: float
    """Seconds that the least work takes on this machine; NaN where none is stated."""
    rows: list[Row]


@dataclass
class Document:
    """A whole run."""

    command: str
    threads: int
    rates: Rates
    measured: list[Measured] = field(default_factory=list)
    growth: dict[str, Any] | None = None


def machine() -> str:
    """Processor, cores and versions, in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = named[0] if named else name
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    return f"{name}, {os.cpu_count()} cores, {gpu}; Python {platform.python_version()}, torch {torch.__version__}"


def _finite(value: Any) -> Any:
    """Plain data with null in place of NaN, which JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return value


def to_json(document: Document) -> str:
    """All that was measured, round by round."""
    cases = [
        {
            "case": m.case.name,
            "title": m.case.titled(m.sizes),
            "sizes": m.sizes,
            "limit": m.case.limit,
            "limit_seconds": m.least,
            "clock": m.case.clock,
            "rows": [asdict(row) for row in m.rows],
        }
        for m in document.measured
    ]
    found = {
        "command": document.command,
        "machine": machine(),
        "threads": document.threads,
        "rates": asdict(document.rates),
        "cases": cases,
        "growth": document.growth,
    }
    return json.dumps(_finite(found), indent=1, allow_nan=False) + "\n"


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"


def _seconds(value: float) -> str:
    return _number(value, ".3f" if value < 1 else ".2f" if value < 100 else ".0f")


def _agrees(row: Row, first: bool) -> str:
    if first:
        return ""
    if not math.isfinite(row.apart):
        return "not compared"
    return "yes" if row.apart <= 1 else f"NO, {row.apart:.1e} times the tolerance"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


HEADER = ("who", "what", "CPU s", "wall s", "times genbench", "times the limit", "peak MiB", "same numbers")


def case_to_markdown(measured: Measured) -> str:
    """One case as a section with a table."""
    case, first = measured.case, measured.case.contenders[0].name
    sizes = ", ".join(f"{name} = {size:,}" for name, size in measured.sizes.items())
    lines = [f"### {case.titled(measured.sizes)}", "", f"`{case.name}`: {sizes}.", ""]
    if case.limit:
        lines[2] += f" The limit is {case.limit}: {_seconds(measured.least)} s."
    lines += [_line(HEADER), _line(["---"] * len(HEADER))]
    for row in measured.rows:
        who = f"{row.contender} {row.version}".strip()
        if row.status != "ok":
            lines.append(_line([who, row.does, row.status, *["-"] * 5]))
            continue
        ratio = "1" if row.contender == first else _number(row.ratio, ".2f")
        times = (_seconds(row.median("cpu")), _seconds(row.median("wall")))
        more = (
            _number(row.of_limit, ".2f"),
            "failed" if row.peak_failure else _number(row.peak_mib, ".0f"),
            _agrees(row, row.contender == first),
        )
        lines.append(_line([who, row.does, *times, ratio, *more]))
    return "\n".join(lines) + "\n"


INTRODUCTION = """# Speed and memory

Each table has all contenders on the same inputs in one run and in turn, so that a busy machine is busy for all: medians
over rounds of CPU seconds and of wall seconds. `times genbench` is the median over rounds of the ratio to the first
line, in {clock}; above 1, genbench is faster. Ratios carry over to other machines better than seconds do. `peak MiB`
is what one call takes beside its inputs, in a process of its own. `times the limit` compares with the
products or bytes that the work needs at least, at the rates below.

```
{command}
```

{machine}; {threads} thread(s). Matrix products: {float64:.0f} GFLOP/s in float64, {float32:.0f} in float32; reading
memory: {bytes:.1f} GB/s.
"""


def to_markdown(document: Document) -> str:
    """The page."""
    rates = {name: value / 1e9 for name, value in asdict(document.rates).items()}
    head = INTRODUCTION.format(
        clock="CPU time (for devices, wall time)",
        command=document.command,
        machine=machine(),
        threads=document.threads,
        **rates,
    )
    parts = [head, *(case_to_markdown(measured) for measured in document.measured)]
    if document.growth is not None:
        from tests.performance.growth import growth_to_markdown

        parts.append(growth_to_markdown(document.growth))
    return "\n".join(parts)
