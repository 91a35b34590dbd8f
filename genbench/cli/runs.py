"""``genbench run``: train the baselines, score them, write the tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.cli.common import add_common, cache_folder, configured, positive, print_tables
from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, UsageError

if TYPE_CHECKING:
    from genbench.training import Speed


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    run = verbs.add_parser("run", help="train the baselines, score them, write the tables")
    run.add_argument("benchmark", nargs="*", default=["digits"], help="names or .toml files (default: digits)")
    run.add_argument("--baseline", action="append", metavar="NAME", help="only this baseline; may be repeated")
    run.add_argument("--seeds", metavar="0,1,2", help="training seeds, in place of the benchmark's")
    run.add_argument("--out", default="results", type=Path, help="results folder (default: results)")
    run.add_argument(
        "--workers", type=int, metavar="N", help="trainings side by side (default: one a core of a CPU, one on a GPU)"
    )
    run.add_argument("--no-controls", action="store_true", help="leave out the controls (real, replay, gaussian, ...)")
    add_speed(run)
    add_common(run)
    run.set_defaults(call=_run)


def add_speed(command: argparse.ArgumentParser) -> None:
    """Add how updates are computed."""
    command.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="float32",
        help="of training: bf16 for products and convolutions; scores are never computed in it",
    )
    command.add_argument(
        "--fast", action="store_true", help="on CUDA, train by recorded updates and TF32; scores stay as they are"
    )


def speed_of(args: argparse.Namespace) -> Speed:
    """Return how updates are to be computed."""
    from genbench.training import Speed

    return Speed(precision=args.precision, fast=args.fast)


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        seeds = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"--seeds: whole numbers separated by commas expected, got {text!r}.") from error
    if min(seeds) < 0:
        raise UsageError(f"--seeds: numbers from 0 expected, got {text!r}.")
    return seeds


def _run(args: argparse.Namespace) -> int:
    from genbench.benchmarks import load_benchmark, restrict
    from genbench.progress import Progress
    from genbench.run import run_benchmark

    baselines = None if args.baseline is None else tuple(dict.fromkeys(args.baseline))
    seeds, batch_size = _seeds(args.seeds), positive("--batch-size", args.batch_size)
    workers = positive("--workers", args.workers)
    # All benchmarks are read before the first is run: a typo in the last one costs no training.
    benchmarks = [
        configured(restrict(load_benchmark(b, quick=args.quick), seeds=seeds, baselines=baselines), args)
        for b in args.benchmark
    ]
    failed = False
    for benchmark in benchmarks:
        runs = run_benchmark(
            benchmark,
            out=args.out,
            device=args.device,
            cache_folder=cache_folder(args),
            progress=Progress(enabled=not args.quiet),
            batch_size=batch_size,
            controls=not args.no_controls,
            speed=speed_of(args),
            workers=workers,
        )
        print_tables(benchmark, runs, args.out)
        failed = failed or any(run.failure for run in runs)
    return EXIT_NOT_EVALUABLE if failed else EXIT_OK
