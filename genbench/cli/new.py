"""``genbench new``: a plug-in package to start from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from genbench.errors import EXIT_OK

KINDS = ("metric", "baseline", "dataset")

EPILOG = """\
examples:
  genbench new metric mean-gap
  genbench new baseline my-flow --out plugins
  genbench new dataset my-points

What is written works as it stands: a small and correct metric, baseline or dataset, a test with a known answer, and the
contract tests of genbench. Install it with pip, and 'genbench list' shows it.
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    command = verbs.add_parser(
        "new",
        help="write a plug-in package to start from: a metric, a baseline or a dataset",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("kind", choices=KINDS, help="what the package brings")
    command.add_argument("name", help="of the package: lower-case letters, digits, - and _")
    command.add_argument("--out", default=".", type=Path, help="where its folder is made (default: here)")
    command.set_defaults(call=_new)


def _new(args: argparse.Namespace) -> int:
    from genbench.skeletons import write_skeleton

    files = write_skeleton(args.kind, args.name, args.out)
    folder = files[0].parent
    for path in files:
        print(path)
    print("\nNext:")
    print(f'  pip install -e "{folder}[test]"')
    print(f"  pytest {folder}")
    print(f"  genbench list {args.kind}s")
    return EXIT_OK
