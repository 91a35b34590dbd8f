"""Speed and memory beside other packages: ``python -m tests.performance``, or ``--only`` some cases.

With ``--out results`` it writes results/performance.md, and beside it results/performance/ with all rounds as JSON and
the plot of growth. Further benchmarks have programs of their own, which it runs when they are named: training and
many_records (in a short form) and report.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.performance.growth import LONGEST, draw_growth, growth
from tests.performance.measure import add_limits, machine_rates, time_case, use_threads
from tests.performance.output import Document, Measured, case_to_markdown, to_json, to_markdown
from tests.performance.suite import CASES

PROGRAMS = {
    "training": ["--quick"],
    "report": [],
    "many_records": ["--models", "5"],
}
"""Benchmarks that compare no packages, and the options by which they end soon."""

GROWTH = "growth"


def _options(arguments: list[str]) -> argparse.Namespace:
    known = [*CASES, GROWTH, *PROGRAMS]
    parser = argparse.ArgumentParser(prog="python -m tests.performance", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[*CASES, GROWTH], help="see --list")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes, in (0, 1]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds after which a contender ends its rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true", help="do not measure peaks, in processes of their own")
    parser.add_argument("--longest", type=float, default=LONGEST, help="CPU seconds that a point of growth may take")
    parser.add_argument("--metrics", nargs="+", help="of growth; by default all")
    parser.add_argument("--out", type=Path, help="folder for performance.md and performance/")
    args = parser.parse_args(arguments)
    if not 0 < args.scale <= 1 or args.rounds < 1:
        parser.error(f"a scale in (0, 1] and at least one round expected, got {args.scale} and {args.rounds}")
    if unknown := [name for name in args.only if name not in known]:
        parser.error(f"{', '.join(unknown)} unknown; choose from {', '.join(known)}")
    return args


def _write(document: Document, folder: Path | None) -> None:
    """Write what there is so far: a run that is broken off leaves its cases behind."""
    if folder is None:
        return
    (folder / "performance").mkdir(parents=True, exist_ok=True)
    (folder / "performance" / "cases.json").write_text(to_json(document), encoding="utf-8")
    (folder / "performance.md").write_text(to_markdown(document), encoding="utf-8")
    if document.growth is not None and find_spec("matplotlib") is not None:
        draw_growth(document.growth, folder / "performance" / "growth.svg")


def main(arguments: list[str]) -> int:
    """Run what was asked for, printing each table as it is done; return an exit code."""
    args = _options(arguments)
    if args.list:
        print("\n".join([*(f"{case.name:14} {case.titled(case.sizes)}" for case in CASES.values()), GROWTH, *PROGRAMS]))
        return 0
    use_threads(args.threads)
    document = Document(f"python -m tests.performance {' '.join(arguments)}".strip(), args.threads, machine_rates())
    for case in (CASES[name] for name in args.only if name in CASES):
        rows = time_case(
            case,
            scale=args.scale,
            rounds=args.rounds,
            budget=args.budget,
            threads=args.threads,
            memory=not args.no_memory,
        )
        least = add_limits(case, rows, document.rates, args.scale)
        document.measured.append(Measured(case, case.scaled(args.scale), least, rows))
        print(case_to_markdown(document.measured[-1]), flush=True)
        _write(document, args.out)
    if GROWTH in args.only:
        document.growth = growth(args.metrics, scale=args.scale, threads=args.threads, longest=args.longest)
        _write(document, args.out)
    for name in (name for name in args.only if name in PROGRAMS):
        # A process each: they set threads of their own.
        command = [sys.executable, "-m", f"tests.performance.{name}", *PROGRAMS[name]]
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
