"""``genbench run``: train the baselines, score them, write the tables."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from genbench.cli.common import (
    add_common,
    add_profile,
    cache_folder,
    configured,
    positive,
    print_tables,
    print_timings,
)
from genbench.errors import EXIT_NOT_EVALUABLE, EXIT_OK, UsageError
from genbench.storage import parse_place

if TYPE_CHECKING:
    from genbench.definitions import Benchmark
    from genbench.training import Speed


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    run = verbs.add_parser("run", help="train the baselines, score them, write the tables")
    run.add_argument("benchmark", nargs="*", default=["digits"], help="names or .toml files (default: digits)")
    run.add_argument("--baseline", action="append", metavar="NAME", help="only this baseline; may be repeated")
    run.add_argument("--seeds", metavar="0,1,2", help="training seeds, in place of the benchmark's")
    run.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="OPTION=A,B,...",
        help="also with an option multiplied or set, as lr=x0.3,x1,x3; for sensitivity.csv; may be repeated",
    )
    run.add_argument(
        "--train-size",
        metavar="64,256",
        help="on so many training samples, each size in a folder of its own; for ladder.csv",
    )
    run.add_argument(
        "--out", default="results", type=parse_place, help="results folder, or URL of one (default: results)"
    )
    run.add_argument(
        "--workers", type=int, metavar="N", help="trainings side by side (default: one a core of a CPU, one a GPU)"
    )
    add_launcher(run)
    run.add_argument("--no-controls", action="store_true", help="leave out the controls (real, replay, gaussian, ...)")
    add_speed(run)
    add_profile(run)
    add_common(run)
    run.set_defaults(call=_run)


def add_launcher(command: argparse.ArgumentParser) -> None:
    """Add where trainings are made."""
    command.add_argument(
        "--launcher", default="local", metavar="NAME", help="where trainings are made: local (default), ray or slurm"
    )
    command.add_argument("--address", help="of a running Ray cluster (default: $RAY_ADDRESS, else one is started here)")
    command.add_argument(
        "--launcher-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of each training: timeout=SECONDS, attempts=N; ray: cpus=1, gpus=0.5; slurm: partition=a, gres=gpu:1, "
        "time=MINUTES, folder=LOGS; may be repeated",
    )


def _launcher_options(args: argparse.Namespace) -> dict[str, str]:
    found = {} if args.address is None else {"address": args.address}
    for text in args.launcher_option:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--launcher-option: KEY=VALUE expected, got {text!r}.")
        found[name] = value
    return found


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


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise UsageError(f"{option}: whole numbers separated by commas expected, got {text!r}.") from error
    if min(numbers) < 0:
        raise UsageError(f"{option}: numbers from 0 expected, got {text!r}.")
    return numbers


def _chosen(args: argparse.Namespace) -> list[Benchmark]:
    """Read every benchmark before the first is run: a typo in the last one costs no training."""
    from genbench.benchmarks import load_benchmark, restrict
    from genbench.benchmarks.variants import vary

    baselines = None if args.baseline is None else tuple(dict.fromkeys(args.baseline))
    seeds = _numbers("--seeds", args.seeds)
    found = []
    for name in args.benchmark:
        benchmark = restrict(load_benchmark(name, quick=args.quick), seeds=seeds, baselines=baselines)
        for variation in args.vary:
            benchmark = vary(benchmark, variation)
        found.append(configured(benchmark, args))
    return found


def _run(args: argparse.Namespace) -> int:
    from genbench.benchmarks.ladder import with_train_size
    from genbench.progress import Progress
    from genbench.publish import write_ladder
    from genbench.run import run_benchmark

    how = {
        "out": args.out,
        "device": args.device,
        "cache_folder": cache_folder(args),
        "progress": Progress(enabled=not args.quiet),
        "batch_size": positive("--batch-size", args.batch_size),
        "controls": not args.no_controls,
        "workers": positive("--workers", args.workers),
        "profile": args.profile,
        "launcher": args.launcher,
        "launcher_options": _launcher_options(args),
    }
    sizes = _numbers("--train-size", args.train_size)
    wanted = [(b, [b] if sizes is None else [with_train_size(b, size) for size in sizes]) for b in _chosen(args)]
    failed = False
    for benchmark, rungs in wanted:
        for rung in rungs:
            runs = run_benchmark(rung, speed=speed_of(args), **how)
            print_tables(rung, runs, args.out)
            print_timings(runs)
            failed = failed or any(run.failure for run in runs)
        if sizes is not None:
            print(write_ladder(args.out, benchmark))
    return EXIT_NOT_EVALUABLE if failed else EXIT_OK
