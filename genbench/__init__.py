"""genbench evaluates deep generative models: honest scores, trained baselines, comparison tables.

The public names are imported when they are first used, so that ``import genbench`` does not import torch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from genbench._version import __version__ as __version__

# Threads of scipy's BLAS and of torch take turns in a metric. By default each spins for milliseconds after its part and
# keeps a processor from the other: two threads were slower than one. Read when the libraries are loaded.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Tables of megabytes are asked for in pages of 2 MiB: of 4 KiB, asking took as long as much of what is done with them.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

if TYPE_CHECKING:
    from genbench.benchmarks import load_benchmark as load_benchmark
    from genbench.comparison import Comparison as Comparison
    from genbench.comparison import compare as compare
    from genbench.data import load_dataset as load_dataset
    from genbench.definitions import Benchmark as Benchmark
    from genbench.definitions import Dataset as Dataset
    from genbench.errors import GenbenchError as GenbenchError
    from genbench.evaluate import Evaluator as Evaluator
    from genbench.gate import Result as Result
    from genbench.gate import check as check
    from genbench.gate import make_baseline as make_baseline
    from genbench.grids import Grid as Grid
    from genbench.grids import grid as grid
    from genbench.load import load_sampler as load_sampler
    from genbench.metrics.features import Features as Features
    from genbench.metrics.metric import Metric as Metric
    from genbench.protocols import Baseline as Baseline
    from genbench.protocols import FeatureExtractor as FeatureExtractor
    from genbench.protocols import Sampler as Sampler
    from genbench.protocols import Trainer as Trainer
    from genbench.records import Estimate as Estimate
    from genbench.records import Run as Run
    from genbench.records import Score as Score
    from genbench.run import run_benchmark as run_benchmark
    from genbench.scoring import score as score

_PUBLIC = {
    "load_benchmark": "genbench.benchmarks",
    "GenbenchError": "genbench.errors",
    "Evaluator": "genbench.evaluate",
    "score": "genbench.scoring",
    "compare": "genbench.comparison",
    "Comparison": "genbench.comparison",
    "grid": "genbench.grids",
    "Grid": "genbench.grids",
    "check": "genbench.gate",
    "Result": "genbench.gate",
    "make_baseline": "genbench.gate",
    "load_dataset": "genbench.data",
    "Features": "genbench.metrics.features",
    "Metric": "genbench.metrics.metric",
    "Baseline": "genbench.protocols",
    "FeatureExtractor": "genbench.protocols",
    "Sampler": "genbench.protocols",
    "Trainer": "genbench.protocols",
    "Benchmark": "genbench.definitions",
    "Dataset": "genbench.definitions",
    "Estimate": "genbench.records",
    "Run": "genbench.records",
    "Score": "genbench.records",
    "run_benchmark": "genbench.run",
    "load_sampler": "genbench.load",
    "parse_place": "genbench.storage",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'genbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
