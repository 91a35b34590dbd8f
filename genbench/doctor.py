"""``genbench doctor``: what this machine has, what it lacks, and what to do about it."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Callable

from genbench._version import __version__
from genbench.atomic import check_writable, feature_cache_folder
from genbench.errors import EXIT_ENVIRONMENT, EXIT_OK, UsageError

# Distribution name and the module that proves that it works.
_PACKAGES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "scipy": "scipy",
    "pot": "ot",
    "torch-fidelity": "torch_fidelity",
    "pandas": "pandas",
    "numpy": "numpy",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "jinja2": "jinja2",
    "tqdm": "tqdm",
}


def diagnose() -> tuple[list[str], int]:
    """Check the installation.

    Returns
    -------
    lines : list of str
        A line a finding; what is wrong starts with ``FAIL`` and says what to do.
    code : int
        0, or 4 where something that genbench needs is missing or broken.
    """
    lines = [f"genbench {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
    lines += [_package(name, module) for name, module in _PACKAGES.items()]
    lines += [_guarded(check) for check in (_devices, _plugins, _weights, _cache)]
    broken = any(line.startswith("FAIL") for line in lines)
    lines.append("something is missing; see FAIL above" if broken else "all is well")
    return lines, EXIT_ENVIRONMENT if broken else EXIT_OK


def diagnose_ranks() -> tuple[list[str], int]:
    """Check that the processes that torchrun started can work together, before hours are spent; result as `diagnose`.

    Versions must be the same, the clocks close, every rank must have a device of its own, and rows must reach rank 0.

    Raises
    ------
    UsageError
        If this is the only process.
    SetupError
        If a rank is lost meanwhile.
    """
    from genbench.distributed.leading import team

    mine = team()
    if mine is None:
        raise UsageError(
            "doctor: several processes expected with --distributed, got one; start it as the evaluation will be: "
            "torchrun --nproc-per-node N -m genbench doctor --distributed."
        )
    from genbench.distributed.health import examine, handlers

    mine.join()
    if not mine.main:
        mine.serve(handlers(mine))
    lines = examine(mine)
    broken = any(line.startswith("FAIL") for line in lines)
    lines.append("the ranks cannot work together; see FAIL above" if broken else "all is well")
    return lines, EXIT_ENVIRONMENT if broken else EXIT_OK


def _guarded(check: Callable[[], str]) -> str:
    """Run a check; whatever breaks in it is a finding, because a doctor that crashes helps nobody."""
    try:
        return check()
    except Exception as error:
        return f"FAIL {check.__name__.strip('_'):15} {type(error).__name__}: {error}"


def _package(name: str, module: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version(name)
    except PackageNotFoundError:
        return f"FAIL {name:15} is not installed: pip install {name}"
    try:
        importlib.import_module(module)
    except Exception as error:  # torchvision raises RuntimeError when it was built for another torch
        advice = f"pip install --force-reinstall {name}"
        if name in ("torchvision", "torch-fidelity"):
            advice = "torch and torchvision must come from one source: pip install --force-reinstall torch torchvision"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return f"FAIL {name:15} {found} does not import ({reason}): {advice}"
    return f"ok   {name:15} {found}"


def _devices() -> str:
    import torch

    found = [f"cpu ({os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()})"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps (metrics run on the cpu, which has float64)")
    return f"ok   {'devices':15} {', '.join(found)}"


def _plugins() -> str:
    from genbench import registry

    foreign = []
    for kind in (registry.METRICS, registry.EXTRACTORS, registry.DATASETS, registry.SAMPLERS, registry.BASELINES):
        for name, entry in kind.entries().items():
            kind.load(name)
            if entry.provider != "genbench":
                foreign.append(f"{kind.kind} {name} ({entry.provider})")
    return f"ok   {'plugins':15} {', '.join(foreign) or 'none'}"


def _weights() -> str:
    import torch

    from genbench.extractors.digits_cnn import DigitsCNN

    extractor = DigitsCNN(event_shape=(1, 8, 8), device=torch.device("cpu"))
    return f"ok   {'weights':15} digits-cnn {extractor.fingerprint[:12]}"


def _cache() -> str:
    from genbench.cache import FeatureCache

    folder = feature_cache_folder()
    check_writable(folder)
    size = sum(file.size for file in FeatureCache(folder).files())
    return f"ok   {'cache':15} {folder} ({size / 2**20:.1f} MiB of features)"
