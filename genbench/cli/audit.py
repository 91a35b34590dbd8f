"""``genbench audit``: the metrics held against known answers, on this machine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from genbench.cli.common import positive
from genbench.errors import UsageError

EPILOG = """\
  genbench audit --quick                         all built-in metrics, in two minutes on two cores
  genbench audit --out results/audit             the full audit, with its tables and its map
  genbench audit --metric fd --metric coverage   some of them
  genbench audit --metric my.metrics:sharpness   your own: all that can be asked of any metric

parts: known answers and their bias, the interval's coverage, what a perfect generator scores (null), the corruption
ladder (what each metric sees, and what it is blind to), and stability over draws, n and feature spaces

exit codes: 0 every promise is kept, 1 one is missed, 2 wrong usage, 3 a metric could not be judged
"""


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    audit = verbs.add_parser(
        "audit",
        help="prove the metrics on this machine: known answers, coverage, what they see",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    audit.add_argument("--quick", action="store_true", help="fewer draws, and one feature space")
    audit.add_argument(
        "--metric", action="append", metavar="NAME", help="only this one, or package.module:metric; may be repeated"
    )
    audit.add_argument("--out", type=Path, metavar="FOLDER", help="write audit.json, audit.md and the map there")
    audit.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    audit.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default 0)")
    audit.add_argument("--quiet", action="store_true", help="no progress on stderr")
    audit.set_defaults(call=_audit)


def _audit(args: argparse.Namespace) -> int:
    workers = positive("--workers", args.workers)
    if args.seed < 0:
        raise UsageError(f"--seed: a whole number of at least 0 expected, got {args.seed}.")
    if args.out is not None:
        from genbench.atomic import check_writable

        check_writable(args.out)
    from genbench.audit.run import audit
    from genbench.audit.text import audit_json, markdown_text, terminal_text
    from genbench.progress import Progress

    found = audit(
        args.metric,
        quick=args.quick,
        seed=args.seed,
        workers=workers or _cores(),
        progress=Progress(enabled=not args.quiet),
    )
    print(terminal_text(found), end="")
    if args.out is not None:
        from genbench.atomic import write_atomic
        from genbench.audit.failure_map import write_map

        write_atomic(args.out / "audit.json", audit_json(found).encode())
        write_atomic(args.out / "audit.md", markdown_text(found).encode())
        written = [args.out / "audit.json", args.out / "audit.md", *write_map(found.ladder, args.out)]
        print(f"\nwrote {', '.join(map(str, written))}")
    return found.exit_code


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
