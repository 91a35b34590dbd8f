"""``genbench leaderboard``: the records of many folders, in one table a benchmark."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import Any

from genbench.errors import EXIT_OK, UsageError
from genbench.storage import Place, parse_place

ENDINGS = {".md": "md", ".csv": "csv", ".tex": "latex", ".html": "html"}

EPILOG = """\
examples:
  genbench leaderboard labA/digits@1 labB/digits@1
  genbench leaderboard results --format csv > leaderboard.csv
  genbench leaderboard labA labB --rename labB:gan=gan-labB --out board.html --benchmark digits

DIR is the results of a benchmark, under any name, or a folder that holds several, or the URL of one. Records of one
training that agree count once. Refused, with exit code 3: scores of one benchmark made under unlike protocols, two
records of one training that disagree, and one name for two recipes. On a terminal, wide tables are cut to its width.
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    verb = verbs.add_parser(
        "leaderboard",
        help="merge the records of many folders into one leaderboard a benchmark",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("folders", type=parse_place, nargs="+", metavar="DIR", help="results/digits@1, or results")
    verb.add_argument(
        "--format",
        choices=tuple(ENDINGS.values()),
        help="default: by the ending of --out (.md, .csv, .tex, .html), else md",
    )
    verb.add_argument("--out", type=parse_place, metavar="FILE", help="the file to write (default: stdout)")
    verb.add_argument("--benchmark", metavar="NAME", help="only this one: an id, a name, or the .toml file of your own")
    verb.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="DIR:OLD=NEW",
        help="what a model of one folder is called here, where two have one name",
    )
    verb.set_defaults(call=_leaderboard)


def _leaderboard(args: argparse.Namespace) -> int:
    form = args.format or _form_of(args.out)
    from genbench.merge import leaderboards, merge_folders

    # The page shows everything; tables are made of what they read, which is a fifteenth of the memory.
    boards = merge_folders(args.folders, benchmark=args.benchmark, rename=args.rename, whole=form == "html")
    on_terminal = args.out is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else None
    text, notes = leaderboards(boards, form, benchmark=args.benchmark, width=width)
    if args.out is None:
        sys.stdout.write(text)
    else:
        from genbench.atomic import write_atomic

        write_atomic(args.out, text.encode())
        print(args.out)
    if form != "md" or args.out is not None:
        for note in notes:
            print(f"genbench: {note}", file=sys.stderr)
    return EXIT_OK


def _form_of(out: Place | None) -> str:
    if out is None:
        return "md"
    if out.suffix not in ENDINGS:
        raise UsageError(f"leaderboard: --out FILE.md, .csv, .tex or .html expected, got {out}; or pass --format.")
    return ENDINGS[out.suffix]
