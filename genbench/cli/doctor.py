"""``genbench doctor``: whether an installation is well, and whether processes can work together."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    """Declare the verb."""
    doctor = verbs.add_parser("doctor", help="check versions, devices, weights and the cache")
    doctor.add_argument(
        "--distributed",
        action="store_true",
        help="check instead that the processes of torchrun can work together: versions, devices, clocks, transfer",
    )
    doctor.set_defaults(call=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from genbench.doctor import diagnose, diagnose_ranks

    lines, code = diagnose_ranks() if args.distributed else diagnose()
    print("\n".join(lines))
    return code
