"""What `genbench list metrics` says of every built-in metric, kept as data so that listing imports no torch.

``python -m genbench.metrics.catalogue`` writes the file anew from the declarations; a test compares the two.
"""

from __future__ import annotations

import inspect
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from genbench.metrics.metric import INPUTS, Metric
from genbench.registry import METRICS

FILE = "catalogue.json"


def describe(metric: Metric) -> dict[str, Any]:
    """Return a declaration as plain data: space, unit, better, needs, options with their defaults, source."""
    parameters = inspect.signature(metric.compute).parameters
    defaults = {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in INPUTS and parameter.default is not inspect.Parameter.empty
    }
    return {
        "space": metric.space,
        "unit": metric.unit,
        "better": metric.better,
        "ideal": metric.ideal,
        "uncertainty": metric.uncertainty,
        "needs": sorted(metric.needs),
        "options": {**defaults, **metric.options},
        "source": metric.source,
        "reserved": metric.reserved,
    }


def read_catalogue() -> dict[str, dict[str, Any]]:
    """Return what is known of the built-in metrics, by name, without importing them."""
    found: dict[str, dict[str, Any]] = json.loads((files("genbench.metrics") / FILE).read_text(encoding="utf-8"))
    return found


def catalogue() -> dict[str, dict[str, Any]]:
    """Import every built-in metric and describe it."""
    built_in = (name for name, entry in METRICS.entries().items() if entry.provider == "genbench")
    return {name: describe(METRICS.load(name)) for name in built_in}


def main() -> None:
    """Write the file anew."""
    text = json.dumps(catalogue(), indent=1, sort_keys=True, ensure_ascii=False)
    (Path(__file__).parent / FILE).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
