"""Times ``genbench leaderboard`` of 250 models x 20 seeds x 20 checkpoints: a hundred thousand records, 0.8 GB of JSON.

Run by ``python -m tests.performance.many_records``; ``--models`` takes fewer, ``--stops 1`` final records alone.
Promised of the hundred thousand, in each form of a text: a minute of processor, and 2 GiB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from genbench.store import Store
from tests.many_records import many_runs

FORMS = ("csv", "md", "latex")

PROGRAM = """
import sys, time
from genbench.cli import main
code = main(sys.argv[1:])
(line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(f"{time.process_time():.1f} s of processor, {int(line.split()[1]) / 2**20:.2f} GiB", file=sys.stderr)
sys.exit(code)
"""


def write_records(out: Path, *, models: int, seeds: int, stops: int) -> int:
    """Write the records of a results folder: ten unlike models, under as many names as asked for; return how many."""
    store, runs = Store(out, "digits@1"), many_runs(models=min(models, 10), seeds=seeds, stops=stops)
    written = 0
    for model in range(models):
        for run in runs[(model % 10) * seeds * stops :][: seeds * stops]:
            renamed = replace(run, sampler=f"model-{model}")
            path = store.path(renamed.sampler, renamed.train_seed, renamed.step)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(renamed.to_json(), encoding="utf-8")
            written += 1
    return written


def main() -> None:
    """Make the records, and print what each form takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=250)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--stops", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        written = write_records(out / "results", models=args.models, seeds=args.seeds, stops=args.stops)
        for form in FORMS:
            command = ["leaderboard", str(out / "results"), "--format", form, "--out", str(out / f"board.{form}")]
            done = subprocess.run([sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True, check=True)
            print(f"{written} records, {form}: {done.stderr.splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
