"""The command line: parses, calls, prints. Data on stdout; progress, logs and errors on stderr."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from genbench._version import __version__
from genbench.cli import (
    audit,
    cache,
    check,
    compare,
    doctor,
    export,
    extractor,
    leaderboard,
    new,
    report,
    runs,
    scores,
    train,
)
from genbench.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, GenbenchError

EPILOG = """\
examples:
  genbench run                                      train and score the baselines on digits
  genbench run --quick                              a small complete run in about a minute
  genbench run ring8 --baseline wgan-gp --seeds 0   one model, one seed, one benchmark
  genbench train gan --benchmark digits --seed 7    one training, with a recipe of your own
  genbench score samples.npz --benchmark digits     score your own samples
  genbench score samples/ --reference real/         ... against real images of your own, with no benchmark
  genbench score my.models:make --benchmark digits  ... or a generator in Python
  genbench report results/digits@1                  the results as one HTML page
  genbench check my.models:make --against base.json  is it worse than before? a gate for CI
  genbench compare results/digits@1:gan results/digits@1:vae   paired differences
  genbench leaderboard labA/digits@1 labB/digits@1   records of many machines in one table
  genbench audit --quick                            what the metrics promise, proven on this machine
  genbench new metric my-metric                     a plug-in package to start from, with its tests

exit codes: 0 fine, 1 regression, 2 wrong usage or configuration, 3 not evaluable or inconclusive,
4 the environment lacks something, 130 interrupted
"""

KINDS = ("benchmarks", "metrics", "extractors", "datasets", "baselines", "samplers")


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
    runs.add_parser(verbs)
    train.add_parser(verbs)
    scores.add_parser(verbs)
    report.add_parser(verbs)
    compare.add_parser(verbs)
    check.add_parser(verbs)
    leaderboard.add_parser(verbs)
    export.add_parser(verbs)
    extractor.add_parser(verbs)
    listing = verbs.add_parser("list", help="list benchmarks, metrics, extractors, datasets and baselines")
    listing.add_argument("kind", nargs="?", choices=KINDS, help="only this kind")
    listing.set_defaults(call=_list)
    explain = verbs.add_parser("explain", help="say what a metric measures, how, and when it fails")
    explain.add_argument("metric", help="a name from 'genbench list metrics'")
    explain.set_defaults(call=_explain)
    audit.add_parser(verbs)
    new.add_parser(verbs)
    cache.add_parser(verbs)
    doctor.add_parser(verbs)
    return top


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
