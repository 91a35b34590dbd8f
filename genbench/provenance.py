"""Where a number came from: versions, device, threads, revision. No host names, no paths, no user names."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from genbench._version import __version__

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pot", "torch-fidelity", "pandas", "scikit-learn", "pillow")


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _revision() -> str | None:
    """The git revision of a source checkout, ``+dirty`` where it was changed; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        run = {"cwd": root, "capture_output": True, "text": True, "timeout": 10}
        head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, **run).stdout.strip()  # type: ignore[call-overload]
        status = subprocess.run(["git", "status", "--porcelain", "-uno"], check=True, **run).stdout  # type: ignore[call-overload]
    except (OSError, subprocess.SubprocessError):
        return None
    return str(head) + ("+dirty" if status.strip() else "")


def provenance(device: torch.device) -> dict[str, Any]:
    """Describe the software and the machine kind that a record was made with."""
    return {
        "genbench": __version__,
        "revision": _revision(),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
