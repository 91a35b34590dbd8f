"""``genbench check``: the regression gate."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.cli.common import add_common, add_reference, add_source, cache_folder, positive, settings, source_of
from genbench.errors import EXIT_OK, GenbenchError, UsageError
from genbench.storage import parse_place

if TYPE_CHECKING:
    from genbench.gate.baseline import Baseline
    from genbench.gate.result import Result

EPILOG = """\
make a baseline, and commit it:
  genbench check my.models:make --benchmark digits --n 4000 --against baselines/digits.json --update
  genbench check results/digits@1:wgan-gp --against baselines/wgan-gp.json --update     every seed of a training

hold something new against it:
  genbench check my.models:make --against baselines/digits.json
  genbench check samples.npz --against baselines/digits.json --margin fd:10%
  genbench check results-new/digits@1:wgan-gp --against baselines/wgan-gp.json           seed by seed

before that, what can it tell?
  genbench check --plan --against baselines/digits.json --difference fd:10%

NEW is whatever genbench score takes, or records: a record's file, FOLDER:model, or another baseline.

verdicts and exit codes:
  0  pass          not worse than the baseline by the margin or more, at this level
  1  regression    worse by more than the margin, at this level (and with --two-sided: better by more than it)
  3  inconclusive  the data cannot tell; the message says how many more would (0 with --allow-inconclusive)
  3  not evaluable: a failed run, a missing metric, a damaged baseline, another protocol
  2  wrong usage   4  the environment lacks something
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    check = verbs.add_parser(
        "check",
        help="the regression gate: is this generator worse than a baseline?",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("new", nargs="?", metavar="NEW", help="a generator, samples, or records; see below")
    check.add_argument(
        "--against", metavar="FILE", type=parse_place, required=True, help="the baseline: a file or its URL"
    )
    what = check.add_mutually_exclusive_group()
    what.add_argument("--update", action="store_true", help="make NEW the baseline: write the file")
    what.add_argument("--plan", action="store_true", help="say what the gate can detect, and with how many samples")
    _test_options(check)
    _output_options(check)
    add_reference(check.add_argument_group("what samples are scored on (by default, what the baseline was)"))
    add_source(check)
    add_common(check)
    check.set_defaults(call=_check)


def _test_options(check: argparse.ArgumentParser) -> None:
    test = check.add_argument_group("the test")
    test.add_argument(
        "--primary",
        action="append",
        default=[],
        metavar="METRIC",
        help="what decides, as fd or fd@identity.pool; may be repeated (then Holm's method keeps the level)",
    )
    test.add_argument(
        "--margin",
        action="append",
        default=[],
        metavar="METRIC:5%",
        help="how much worse is still as good: a share of the baseline, or a number as fd:0.3 "
        "(default: 5%% and two standard errors of the difference)",
    )
    test.add_argument("--alpha", type=float, default=0.05, help="chance of a false alarm (default 0.05)")
    test.add_argument(
        "--looks",
        type=int,
        default=3,
        metavar="K",
        help="look at a generator up to K times, with twice the samples each time, at alpha / K each (default 3)",
    )
    test.add_argument("--n", type=int, help="generated samples (default: the baseline's, at first the benchmark's)")
    test.add_argument("--seed", type=int, help="of the draw (default: the baseline's)")
    test.add_argument("--unit", choices=("auto", "samples", "seeds"), default="auto", help="what counts as a repeat")
    test.add_argument("--two-sided", action="store_true", help="report improvements by more than the margin too")
    test.add_argument("--name", help="of the new one in the output")
    test.add_argument(
        "--difference", action="append", default=[], metavar="METRIC:10%", help="with --plan: what is to be found"
    )
    test.add_argument("--power", type=float, default=0.8, help="with --plan: with which chance (default 0.8)")


def _output_options(check: argparse.ArgumentParser) -> None:
    output = check.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print JSON in place of a table")
    output.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML too")
    output.add_argument("--markdown", type=Path, metavar="FILE", help="write Markdown too")
    output.add_argument("--allow-inconclusive", action="store_true", help="exit with 0 where the data cannot tell")


def _check(args: argparse.Namespace) -> int:
    for path in (args.junit, args.markdown):
        if path is not None and path.is_dir():
            raise UsageError(f"check: {path}: a file to be written expected, got a folder.")
    if args.plan:
        return _plan(args)
    if args.new is None:
        raise UsageError("check: NEW expected: a generator, samples or records; see genbench check --help.")
    if args.update:
        return _update(args)
    from genbench.gate.decision import check

    clock = time.perf_counter()
    try:
        result = check(
            args.new,
            args.against,
            primary=args.primary,
            margin=args.margin,
            alpha=args.alpha,
            looks=args.looks,
            n=positive("--n", args.n),
            seed=args.seed,
            unit=args.unit,
            two_sided=args.two_sided,
            **_source(args),
        )
    except GenbenchError as error:
        _report_error(error, args)
        raise
    code = EXIT_OK if result.verdict == "inconclusive" and args.allow_inconclusive else result.exit_code
    _report(result, code, args, seconds=time.perf_counter() - clock)
    return code


def _source(args: argparse.Namespace) -> dict[str, Any]:
    """What is known of NEW and of what it is scored on, where anything was said."""
    from genbench.sides import is_recorded

    if is_recorded(args.new):
        return {}
    from genbench.cache import FeatureCache

    data, extractors = settings(args)
    names = ("benchmark", "reference", "held_out", "reference_n", "features", "extractor", "name", "download", "quick")
    given = {name: getattr(args, name) for name in names}
    given |= {"data": data, "extractors": extractors, "device": args.device, "cache": FeatureCache(cache_folder(args))}
    return given | {"batch_size": positive("--batch-size", args.batch_size), **source_of(args)}


def _update(args: argparse.Namespace) -> int:
    from genbench.gate.baseline import read_baseline, write_baseline
    from genbench.gate.decision import make_baseline
    from genbench.gate.text import change_text

    old: Baseline | None = None
    if args.against.exists():
        try:
            old = read_baseline(args.against)
        except GenbenchError as error:
            print(f"genbench: {error} It is replaced.", file=sys.stderr)
    new = make_baseline(
        args.new,
        primary=args.primary or (old.primary if old else ()),
        margin=args.margin or ([f"{key}:{margin}" for key, margin in old.margins.items()] if old else ()),
        n=positive("--n", args.n),
        seed=args.seed or 0,
        **_source(args),
    )
    write_baseline(args.against, new)
    print(change_text(old, new))
    print(f"\nwrote {args.against}; commit it. What it can detect: genbench check --plan --against {args.against}")
    return EXIT_OK


def _plan(args: argparse.Namespace) -> int:
    from genbench.gate.baseline import read_baseline
    from genbench.gate.plan import make_plan
    from genbench.gate.text import plan_json, plan_text

    baseline = read_baseline(args.against)
    plans = make_plan(
        baseline,
        primary=args.primary,
        margin=args.margin,
        difference=args.difference,
        alpha=args.alpha,
        power=args.power,
        looks=args.looks,
        unit=args.unit,
    )
    print(plan_json(plans) if args.json else plan_text(plans, baseline), end="")
    return EXIT_OK


def _report(result: Result, code: int, args: argparse.Namespace, *, seconds: float) -> None:
    from genbench.atomic import write_atomic
    from genbench.gate.github import tell_github
    from genbench.gate.junit import junit_xml
    from genbench.gate.text import markdown_text, terminal_text

    print(result.to_json() if args.json else terminal_text(result), end="")
    if args.junit is not None:
        text = junit_xml(result, seconds=seconds, allow_inconclusive=args.allow_inconclusive)
        write_atomic(args.junit, text.encode())
    if args.markdown is not None:
        write_atomic(args.markdown, markdown_text(result).encode())
    stream = sys.stderr if args.json else None  # stdout is for the data
    tell_github(result, exit_code=code, allow_inconclusive=args.allow_inconclusive, stream=stream)


def _report_error(error: GenbenchError, args: argparse.Namespace) -> None:
    from genbench.atomic import write_atomic
    from genbench.gate.github import tell_github
    from genbench.gate.junit import junit_error

    if args.junit is not None:
        write_atomic(args.junit, junit_error(str(error)).encode())
    tell_github(str(error), exit_code=error.exit_code, stream=sys.stderr if args.json else None)
