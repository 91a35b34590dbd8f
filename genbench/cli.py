"""The command line: parses, calls, prints. Data on stdout; progress, logs and errors on stderr."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench._version import __version__
from genbench.errors import EXIT_INTERRUPTED, EXIT_NOT_EVALUABLE, EXIT_OK, EXIT_USAGE, GenbenchError, UsageError

if TYPE_CHECKING:
    from genbench.definitions import Benchmark
    from genbench.records import Run

EPILOG = """\
examples:
  genbench run                                      train and score the baselines on digits
  genbench run --quick                              a small complete run in about a minute
  genbench run ring8 --baseline wgan-gp --seeds 0   one model, one seed, one benchmark
  genbench score samples.npz --benchmark digits     score your own samples
  genbench score samples.npz --benchmark digits --out results   ... and put them into the tables

exit codes: 0 fine, 2 wrong usage or configuration, 3 not evaluable, 4 the environment lacks something, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Build the argument parser; imports nothing heavy, so that --help is instant."""
    top = argparse.ArgumentParser(
        prog="genbench",
        description="Evaluate deep generative models: honest scores, trained baselines, comparison tables.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"genbench {__version__}")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    _run_parser(verbs)
    _score_parser(verbs)
    listing = verbs.add_parser("list", help="list benchmarks, metrics, extractors, datasets and baselines")
    listing.add_argument("kind", nargs="?", choices=KINDS, help="only this kind")
    listing.set_defaults(call=_list)
    explain = verbs.add_parser("explain", help="say what a metric measures, how, and when it fails")
    explain.add_argument("metric", help="a name from 'genbench list metrics'")
    explain.set_defaults(call=_explain)
    doctor = verbs.add_parser("doctor", help="check versions, devices, weights and the cache")
    doctor.set_defaults(call=_doctor)
    return top


KINDS = ("benchmarks", "metrics", "extractors", "datasets", "baselines", "samplers")


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--quick", action="store_true", help="the benchmark's smaller form; never mixed with full runs"
    )
    command.add_argument("--device", default="auto", help="auto (CUDA, then MPS, then CPU), cpu, cuda, cuda:1, mps")
    command.add_argument("--no-cache", action="store_true", help="do not keep features on disk")
    command.add_argument("--quiet", action="store_true", help="no progress on stderr")


def _run_parser(verbs: Any) -> None:
    run = verbs.add_parser("run", help="train the baselines, score them, write the tables")
    run.add_argument("benchmark", nargs="*", default=["digits"], help="names or .toml files (default: digits)")
    run.add_argument("--baseline", action="append", metavar="NAME", help="only this baseline; may be repeated")
    run.add_argument("--seeds", metavar="0,1,2", help="training seeds, in place of the benchmark's")
    run.add_argument("--out", default="results", type=Path, help="results folder (default: results)")
    _common(run)
    run.set_defaults(call=_run)


def _score_parser(verbs: Any) -> None:
    score = verbs.add_parser("score", help="score samples of your own")
    score.add_argument("samples", help="an .npy or .npz file, or a folder of images")
    score.add_argument("--benchmark", required=True, help="what to score them on, for example digits")
    score.add_argument("--name", help="the sampler's name in the tables (default: the file's name)")
    # Two arguments, because argparse takes "-1,1" for an option.
    score.add_argument(
        "--value-range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="of float images: 0 1, or -1 1, or 0 255"
    )
    score.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="KEY",
        help="score by this too, as fd@identity.pool or my:METRIC@...",
    )
    score.add_argument("--seed", type=int, default=0, help="which samples are taken when there are more than needed")
    score.add_argument("--out", type=Path, help="results folder: add a record there and derive its tables anew")
    score.add_argument("--json", action="store_true", help="print the record as JSON")
    _common(score)
    score.set_defaults(call=_score)


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


def _cache(args: argparse.Namespace) -> Path | None:
    from genbench.atomic import default_cache_folder

    return None if args.no_cache else default_cache_folder()


def _progress(args: argparse.Namespace) -> Any:
    from genbench.progress import Progress

    return Progress(enabled=not args.quiet)


def _run(args: argparse.Namespace) -> int:
    from genbench.benchmarks import load_benchmark, restrict
    from genbench.run import run_benchmark

    baselines = None if args.baseline is None else tuple(dict.fromkeys(args.baseline))
    seeds = _seeds(args.seeds)
    # All benchmarks are read before the first is run: a typo in the last one costs no training.
    benchmarks = [
        restrict(load_benchmark(b, quick=args.quick), seeds=seeds, baselines=baselines) for b in args.benchmark
    ]
    failed = False
    for benchmark in benchmarks:
        runs = run_benchmark(
            benchmark, out=args.out, device=args.device, cache_folder=_cache(args), progress=_progress(args)
        )
        _print_tables(benchmark, runs, args.out)
        failed = failed or any(run.failure for run in runs)
    return EXIT_NOT_EVALUABLE if failed else EXIT_OK


def _print_tables(benchmark: Benchmark, runs: Sequence[Run], out: Path) -> None:
    from genbench.run import markdown_tables

    for _, text in markdown_tables(benchmark, runs):
        print(text)
    print(f"Tables, records and pictures: {out / benchmark.id}")


def _score(args: argparse.Namespace) -> int:
    from genbench.atomic import check_writable
    from genbench.benchmarks import load_benchmark, with_metrics

    benchmark = with_metrics(load_benchmark(args.benchmark, quick=args.quick), args.metric)
    value_range = None if args.value_range is None else (args.value_range[0], args.value_range[1])
    if args.out is not None:
        check_writable(args.out)
    from genbench.cache import FeatureCache  # after the checks: these imports take seconds
    from genbench.evaluate import score

    cache = FeatureCache(_cache(args))
    run = score(
        args.samples,
        benchmark,
        name=args.name,
        value_range=value_range,
        seed=args.seed,
        device=args.device,
        cache=cache,
    )
    _print_scores(run, benchmark, args)
    failures = [s for s in run.scores if s.failure]
    for failure in failures:
        print(f"genbench: {failure.key} failed: {failure.failure}", file=sys.stderr)
    return EXIT_NOT_EVALUABLE if failures else EXIT_OK


def _print_scores(run: Run, benchmark: Benchmark, args: argparse.Namespace) -> None:
    from genbench.markdown import score_markdown
    from genbench.run import add_score

    runs = add_score(run, benchmark, out=args.out) if args.out is not None else []
    if args.json:
        print(run.to_json(), end="")
        return
    print(f"{run.sampler} on {run.benchmark}, n = {benchmark.n}\n")
    print(score_markdown(run.scores))
    if runs:
        _print_tables(benchmark, runs, args.out)


def _list(args: argparse.Namespace) -> int:
    from genbench.explain import listing

    for kind in [args.kind] if args.kind else KINDS:
        if not args.kind:
            print(f"{kind}:")
        print("\n".join(listing(kind, details=bool(args.kind))))
    return EXIT_OK


def _explain(args: argparse.Namespace) -> int:
    from genbench.explain import explanation

    print(explanation(args.metric))
    return EXIT_OK


def _doctor(args: argparse.Namespace) -> int:
    from genbench.doctor import diagnose

    lines, code = diagnose()
    print("\n".join(lines))
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="genbench: %(message)s")
    try:
        args = parser().parse_args(argv)
        code: int = args.call(args)
        sys.stdout.flush()
        return code
    except GenbenchError as error:
        print(f"genbench: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("genbench: interrupted; the same command goes on from here.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) went away; what it wanted, it got.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else EXIT_USAGE
