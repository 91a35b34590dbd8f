"""``genbench export`` and ``genbench plots``: records in other people's forms, and figures for papers."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

from genbench.errors import EXIT_OK, UsageError
from genbench.storage import Place, Remote, parse_place

FORMS = ("jsonl", "every-eval-ever", "tensorboard", "wandb", "trackio", "mlflow")

EPILOG = """\
examples:
  genbench export results/digits@1 --to jsonl > digits.jsonl
  genbench export results/digits@1 --to tensorboard --out runs
  genbench export results/digits@1 --to every-eval-ever

Nothing is sent anywhere: trackers get local files, and their own commands send them.
"""


def add_parser(verbs: Any) -> None:
    """Declare both verbs."""
    export = verbs.add_parser(
        "export",
        help="write records as JSONL, for TensorBoard, W&B, Trackio, MLflow or Every Eval Ever",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("folder", type=parse_place, help="of one benchmark, such as results/digits@1, or its URL")
    export.add_argument("--to", required=True, choices=FORMS, help="the form")
    export.add_argument(
        "--out", type=Path, help="jsonl: a file (default: stdout); else an empty folder (default: FOLDER/exports/FORM)"
    )
    export.set_defaults(call=_export)
    plots = verbs.add_parser("plots", help="draw figures for papers (PDF, SVG, PNG)")
    plots.add_argument("folder", type=parse_place, help="of one benchmark, such as results/digits@1, or its URL")
    plots.add_argument("--out", type=Path, help="where figures go (default: FOLDER/plots)")
    plots.add_argument("--format", choices=("pdf", "svg", "png"), default="pdf", help="default: pdf")
    plots.add_argument("--benchmark", metavar="NAME", help="name or .toml file, if the folder's name is not enough")
    plots.set_defaults(call=_plots)


def _export(args: argparse.Namespace) -> int:
    from genbench.exports import export, to_jsonl
    from genbench.results import read_folder

    runs = read_folder(args.folder)
    if args.to != "jsonl":
        print(export(runs, args.to, _here(args, args.folder / "exports" / args.to), timestamp=_now()))
    elif args.out is None:
        sys.stdout.write(to_jsonl(runs))
    else:
        from genbench.atomic import write_atomic

        write_atomic(args.out, to_jsonl(runs).encode())
        print(f"{len(runs)} records: {args.out}")
    return EXIT_OK


def _here(args: argparse.Namespace, default: Place) -> Path:
    """Return where files go that other packages write: a folder of this machine."""
    place = args.out or default
    if isinstance(place, Remote):
        raise UsageError(f"{args.verb}: records at a URL are written to a folder of this machine; name one with --out.")
    return Path(place)


def _now() -> int:
    """Return $SOURCE_DATE_EPOCH where it is set, as builds that are to be repeated do, else the time."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given and not given.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH: whole seconds since 1970 expected, got {given!r}; unset it.")
    return int(given) if given else int(time.time())


def _plots(args: argparse.Namespace) -> int:
    from genbench.plots import write_plots
    from genbench.results import find_benchmark, read_folder

    runs = read_folder(args.folder)
    benchmark = find_benchmark(runs, args.benchmark)
    for path in write_plots(runs, benchmark, _here(args, args.folder / "plots"), form=args.format):
        print(path)
    return EXIT_OK
