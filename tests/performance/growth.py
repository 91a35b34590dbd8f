"""How every metric's time and memory grow with the number of samples and of columns.

``python -m tests.performance.growth METRIC`` measures one and prints JSON. Every point is of new sets, so that nothing
that was computed for another is reused; a metric is not taken further once the next point would take too long.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from genbench.errors import GenbenchError
from genbench.registry import METRICS
from tests.performance.declared import declared

N = (1_000, 3_000, 10_000, 30_000, 50_000)
D = (2, 8, 32, 128, 512, 2048)
AT_D, AT_N = 64, 2_000
"""Columns while n grows, and samples while d grows."""
CLASSES = 10
ROOM = 0.3
"""By how much an exponent between two sizes may be above the cost's: blocks leave the cache, and clocks err."""
LONGEST = 20.0
"""CPU seconds that the next point may be expected to take."""

Point = dict[str, float | None]


def measured_metrics() -> list[str]:
    """Metrics that need no density, by name, without the second names of others."""
    names = []
    for name, entry in METRICS.entries().items():
        metric = METRICS.load(name) if entry.provider == "genbench" else None
        if metric is not None and not metric.reserved and not metric.needs & {"log_prob", "mixture", "factors"}:
            names.append(name)
    return names


def _point(name: str, n: int, d: int) -> Point:
    """Seconds, value and MiB of a metric on n generated, n reference, and halves of the latter."""
    from genbench.metrics.features import Features
    from tests.performance.peak import extra_mib

    metric = METRICS.load(name)
    width = CLASSES if metric.space == "logits" else d
    rng = np.random.default_rng(0)
    reference, generated = rng.standard_normal((n, width)), 0.98 * rng.standard_normal((n, width))
    tables = {"generated": generated, "reference": reference, "train": reference[: n // 2], "test": reference[n // 2 :]}
    given = {side: Features(table) for side, table in tables.items() if side in metric.needs} | {"rng": 0}
    found: Point = {"n": n, "d": d, "seconds": None, "mib": None, "value": None}

    def compute() -> None:
        start = time.process_time()
        estimate = metric.compute(**{need: given[need] for need in metric.needs}, **metric.options)
        found["seconds"], found["value"] = time.process_time() - start, float(estimate.value)

    try:
        found["mib"] = extra_mib(compute)
    except (GenbenchError, MemoryError):
        return found
    return found


def _along(name: str, sizes: list[tuple[int, int]], longest: float) -> list[Point]:
    points: list[Point] = []
    for n, d in sizes:
        before = [p for p in points if p["seconds"] is not None]
        if before:
            growth = (n / float(before[-1]["n"] or 1)) ** 2 * d / float(before[-1]["d"] or 1)
            if float(before[-1]["seconds"] or 0) * growth > longest:
                break
        points.append(_point(name, n, d))
    return points


def growth_of(name: str, scale: float, longest: float) -> dict[str, list[Point]]:
    """Measure one metric in this process, first along n and then along d."""
    ns, ds = ([max(100, round(scale * n)) for n in N], [max(2, round(scale * d)) for d in D])
    at_n, at_d = max(100, round(scale * AT_N)), max(2, round(scale * AT_D))
    _point(name, 100, 2)  # what is loaded once is not counted
    return {
        "n": _along(name, [(n, at_d) for n in sorted(set(ns))], longest),
        "d": _along(name, [(at_n, d) for d in sorted(set(ds))], longest),
    }


def growth(
    names: list[str] | None = None, *, scale: float = 1.0, longest: float = LONGEST, threads: int = 1
) -> dict[str, Any]:
    """Measure metrics, each in a process of its own; return the points by metric and by what grew."""
    found = {}
    for name in names or measured_metrics():
        command = [sys.executable, "-m", "tests.performance.growth", name, "--scale", str(scale)]
        command += ["--longest", str(longest), "--threads", str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"growth of {name}: {done.stderr[-2000:]}")
        found[name] = json.loads(done.stdout)
    return found


def exponent(points: list[Point], by: str) -> float:
    """Slope of log seconds over the last two points with a time that a clock can tell; NaN where there are none."""
    known = [(float(p[by] or 0), float(p["seconds"] or 0)) for p in points if p["seconds"] and p["seconds"] > 0.005]
    if len(known) < 2:
        return math.nan
    (a, s), (b, t) = known[-2:]
    return math.log(t / s) / math.log(b / a)


def faster_than_declared(found: dict[str, Any]) -> list[str]:
    """Name the metrics whose time grows faster with n or d than the docstring's cost; not those of one step of many."""
    return [
        f"{name} with {by}"
        for name, sides in found.items()
        for by in ("n", "d")
        if not declared(name).a_step and exponent(sides[by], by) > getattr(declared(name), by) + ROOM
    ]


def growth_to_markdown(found: dict[str, Any]) -> str:
    """A table: seconds and peak at the largest n and d that were reached, and the exponents there."""
    lines = [
        "## Growth",
        "",
        f"CPU seconds and MiB beside the inputs, of one call with all uncertainty. Along n at d = {AT_D} (classifiers'",
        f"answers: {CLASSES} classes), along d at n = {AT_N:,}; up to the last size that takes less than some",
        "seconds (`--longest`). `grows` is the exponent between the last two sizes, none where it takes below 5 ms;",
        "behind it the most that the docstring's cost allows, with a star where that is the cost of one step of many.",
        "All points: [growth.svg](performance/growth.svg), where matplotlib is installed, and cases.json beside it.",
        "",
        "| metric | n | s | MiB | grows | d | s | MiB | grows |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sides in found.items():
        cells, most = [name], declared(name)
        for by in ("n", "d"):
            done = [p for p in sides[by] if p["seconds"] is not None]
            slope = exponent(sides[by], by)
            if not done:
                cells += ["-"] * 4
                continue
            last = done[-1]
            mib = "-" if last["mib"] is None or math.isnan(last["mib"]) else f"{last['mib']:.0f}"
            cells += [f"{last[by]:,}", f"{last['seconds']:.3g}", mib]
            cells.append(f"{'-' if math.isnan(slope) else f'{slope:.1f}'} of {getattr(most, by):g}{'*' * most.a_step}")
        lines.append("| " + " | ".join(cells) + " |")
    faster = faster_than_declared(found)
    lines += ["", f"Faster than its docstring says, by more than {ROOM}, grows: {', '.join(faster) or 'none'}."]
    return "\n".join(lines) + "\n"


def draw_growth(found: dict[str, Any], path: Path) -> None:
    """Draw seconds and MiB over n and over d, a small panel for each metric."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    columns = 6
    rows = math.ceil(len(found) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.4 * columns, 1.9 * rows), squeeze=False, sharex=True)
    for axis in axes.flat[len(found) :]:
        axis.set_visible(False)
    for axis, (name, sides) in zip(axes.flat, found.items(), strict=False):
        for by, colour in (("n", "tab:blue"), ("d", "tab:orange")):
            done = [p for p in sides[by] if p["seconds"] is not None]
            sizes = [p[by] for p in done]
            axis.plot(sizes, [max(p["seconds"], 1e-4) for p in done], ".-", color=colour, label=f"s over {by}")
            mib = [max(p["mib"] or 0.0, 0.1) / 1024 for p in done]
            axis.plot(sizes, mib, ":", color=colour, label=f"GiB over {by}")
        axis.set(xscale="log", yscale="log", title=name, xticks=[10, 100, 1_000, 10_000])
        # Whole decades, each with its label, also around a single point.
        low, high = (math.log10(end) for end in axis.get_ylim())
        axis.set_ylim(10 ** math.floor(low), 10 ** math.ceil(high))
        axis.minorticks_off()
        axis.title.set_fontsize(8)
        axis.tick_params(labelsize=6, labelbottom=True)
    axes.flat[0].legend(fontsize=5)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def main() -> None:
    """Print what one metric takes, as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance.growth", description=__doc__)
    parser.add_argument("metric")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--longest", type=float, default=LONGEST)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    from tests.performance.measure import use_threads

    use_threads(args.threads)
    warnings.simplefilter("ignore")
    print(json.dumps(growth_of(args.metric, args.scale, args.longest)))


if __name__ == "__main__":
    main()
