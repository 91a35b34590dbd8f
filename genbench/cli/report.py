"""``genbench report``: one HTML file from the records of a benchmark."""

from __future__ import annotations

import argparse
from typing import Any

from genbench.errors import EXIT_OK
from genbench.storage import parse_place


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    report = verbs.add_parser("report", help="write the HTML report of a benchmark's results")
    report.add_argument(
        "folder", type=parse_place, metavar="DIR", help="a benchmark's results, as results/digits@1, or its URL"
    )
    report.add_argument("--out", type=parse_place, metavar="FILE", help="the file to write (default: DIR/report.html)")
    report.add_argument(
        "--benchmark",
        metavar="NAME",
        help="name or .toml file of the benchmark, where DIR does not have the name of a shipped one",
    )
    report.set_defaults(call=_report)


def _report(args: argparse.Namespace) -> int:
    from genbench.report import write_report

    print(write_report(args.folder, args.out, benchmark=args.benchmark))
    return EXIT_OK
