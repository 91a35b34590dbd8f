"""Runs on Ray, in a process of their own: Ray opens sockets, starts threads and prints.

``python -W error -m tests.launchers.on_ray FOLDER`` leaves a results folder for each run in FOLDER, and
``found.json`` with what the command line said.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from genbench.definitions import Budget
from genbench.run import run_benchmark
from tests.makers import make_benchmark

DYING = """
name = "dying"
version = 1
dataset = "ring8"
n = 200
seeds = [0]
checkpoints = 1
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
[baselines.gan]
steps = 10
batch = 8
[baselines.sick]
baseline = "tests.dying_baseline:Dying"
steps = 10
batch = 8
options = { folder = "FOLDER", deaths = 10 }
"""


def run_the_command(folder: Path, address: str) -> dict[str, Any]:
    """Run a benchmark with a model that always kills its process, on a cluster that runs already."""
    (folder / "marks-always").mkdir()
    (folder / "dying.toml").write_text(DYING.replace("FOLDER", str(folder / "marks-always")))
    command = [sys.executable, "-W", "error", "-m", "genbench", "run", str(folder / "dying.toml"), "--quiet"]
    where = ["--launcher", "ray", "--address", address, "--out", str(folder / "always"), "--device", "cpu"]
    done = subprocess.run([*command, *where], capture_output=True, text=True, timeout=300)
    return {"code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


def run(folder: Path) -> dict[str, Any]:
    """Run all of it."""
    import ray

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run_benchmark(make_benchmark(), out=folder / "own", device="cpu", launcher="ray", workers=None)
    found: dict[str, Any] = {"stdout": out.getvalue(), "left running": ray.is_initialized()}

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    (folder / "marks-once").mkdir()
    once = {"folder": str(folder / "marks-once"), "deaths": 1}
    baselines = {
        "gan": Budget(steps=10, batch=8),
        "sick": Budget(steps=10, batch=8, options=once, baseline="tests.dying_baseline:Dying"),
    }
    how: dict[str, Any] = {"device": "cpu", "controls": False, "launcher": "ray", "workers": 2}
    run_benchmark(make_benchmark(seeds=(0,), baselines=baselines), out=folder / "once", **how)
    light = {"cpus": "0.5", "checkpoints": "no"}
    run_benchmark(
        make_benchmark(seeds=(0, 1), baselines=baselines), out=folder / "light", launcher_options=light, **how
    )
    hanging = {"sick": Budget(steps=10, batch=8, baseline="tests.launchers.hanging_baseline:Hanging")}
    late = {"timeout": "1", "attempts": "1"}
    run_benchmark(make_benchmark(seeds=(0,), baselines=hanging), out=folder / "late", launcher_options=late, **how)
    found["command"] = run_the_command(folder, ray.get_runtime_context().gcs_address)
    ray.shutdown()
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    target = Path(sys.argv[1])
    (target / "found.json").write_text(json.dumps(run(target)))
