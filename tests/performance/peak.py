"""Memory that one contender takes beside its inputs: run in a process of its own by `measure.peak_of`.

Linux keeps the largest size that a process ever had, and forgets it when told to. Elsewhere the answer is NaN.
"""

from __future__ import annotations

import ctypes
import gc
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _kib(name: str) -> int:
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def extra_mib(function: Callable[[], object]) -> float:
    """Return by how many MiB the process grew at most while the function ran; NaN where the system does not tell."""
    gc.collect()
    try:
        # What was freed before may still be held, and would be used again without being counted.
        ctypes.CDLL(None).malloc_trim(0)
        FORGET.write_text("5")
        before = _kib("VmRSS")
        function()
        return (_kib("VmHWM") - before) / 1024
    except (OSError, ValueError, AttributeError):
        return math.nan


def main(case_name: str, contender_name: str, scale: str, threads: str) -> None:
    """Print the peak."""
    from tests.performance.measure import use_threads
    from tests.performance.suite import CASES

    warnings.simplefilter("ignore")
    use_threads(int(threads))
    case = CASES[case_name]
    (contender,) = (c for c in case.contenders if c.name == contender_name)
    # Once at a small size: libraries are loaded, and what they keep is kept.
    contender.run(contender.prepare(case.make(case.scaled(min(case.rehearsal, float(scale))))))
    prepared = contender.prepare(case.make(case.scaled(float(scale))))
    print(extra_mib(lambda: contender.run(prepared)))


if __name__ == "__main__":
    main(*sys.argv[1:])
