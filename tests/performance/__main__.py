"""Runs the benchmarks of speed: all of them in a few minutes each, or one with options of its own.

``python -m tests.performance`` runs all; ``python -m tests.performance training --help`` says what one can be told.
"""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = {
    "peers": ("metrics beside those of other packages", ["--rounds", "3"]),
    "memory": ("seconds and peak memory of every metric", ["-n", "2000", "-d", "64"]),
    "training": ("seconds per 1,000 updates of the harness", ["--quick"]),
}
"""What each measures, and the options by which it ends soon."""


def main(arguments: list[str]) -> int:
    """Run what is named first with the arguments after it, or everything; return an exit code."""
    if arguments and arguments[0] not in BENCHMARKS:
        lines = [f"  {name:10} {what}" for name, (what, _) in BENCHMARKS.items()]
        print("\n".join(["usage: python -m tests.performance [BENCHMARK [OPTION ...]]", *lines]))
        return 0 if arguments[0] in ("-h", "--help") else 2
    chosen = {arguments[0]: arguments[1:]} if arguments else {name: soon for name, (_, soon) in BENCHMARKS.items()}
    for name, options in chosen.items():
        print(f"\n{name}: {BENCHMARKS[name][0]}", flush=True)
        # A process each: memory's peak is that of the process.
        if code := subprocess.run(
            [sys.executable, "-m", f"tests.performance.{name}", *options], check=False
        ).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
