"""``genbench compare``: the differences of two models, metric by metric."""

from __future__ import annotations

import argparse
import json
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
    from genbench.compare import compare, comparison_markdown, read_side

    a, b = read_side(args.a), read_side(args.b)
    table = compare(a, b)
    if args.json:
        rows = json.loads(table.to_json(orient="records", double_precision=15))
        sides = {"a": a.label, "b": b.label, "benchmark": a.runs[0].benchmark, "protocol": a.runs[0].protocol}
        failed = {f"failed_{name}": len(side.runs) - len(side.completed) for name, side in (("a", a), ("b", b))}
        print(json.dumps({**sides, **failed, "metrics": rows}, indent=1, allow_nan=False))
    else:
        print(comparison_markdown(table, a, b), end="")
    return EXIT_OK
