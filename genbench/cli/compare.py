"""``genbench compare``: the differences of two models, metric by metric."""

from __future__ import annotations

import argparse
from typing import Any

from genbench.errors import EXIT_OK

EPILOG = """\
examples:
  genbench compare results/digits@1:gan results/digits@1:wgan-gp
  genbench compare results/digits@1/records/gan/seed0-step0003000.json results/digits@1:vae --json

Several trainings on both sides are compared by training (Welch), single ones by their samples (group jackknife of the
difference, sharing the reference). Numbers made under unlike protocols are refused, with exit code 3.
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    compare = verbs.add_parser(
        "compare",
        help="differences of two models under every metric, with intervals",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("a", "b"):
        compare.add_argument(name, metavar=name.upper(), help="the file of a record, or FOLDER:model")
    compare.add_argument("--json", action="store_true", help="print JSON in place of a table")
    compare.set_defaults(call=_compare)


def _compare(args: argparse.Namespace) -> int:
    from genbench.comparison import compare
    from genbench.sides import read_side

    found = compare(read_side(args.a), read_side(args.b))
    print(found.to_json() if args.json else found, end="")
    return EXIT_OK
