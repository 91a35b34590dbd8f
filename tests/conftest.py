"""What every test runs under: no network, no shared cache, one thread where bits are compared."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.once import made_once


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Two threads that wait for each other on a busy machine are many times slower than one."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def no_options_for_others() -> None:
    """Let no test session that a test begins take over what this one was asked for by the environment."""
    os.environ.pop("PYTEST_ADDOPTS", None)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test tried to reach {address}")
        return connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty cache, so that none passes because another has filled it."""
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one quick run from an empty folder: what begins with it finds nothing left to do."""

    def run(folder: Path) -> None:
        environment = {**os.environ, "GENBENCH_CACHE": str(folder / "cache")}
        command = [sys.executable, "-m", "genbench", "run", "--quick"]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert "wgan-gp" in done.stdout

    return made_once(tmp_path_factory, "quick-run", run) / "results" / "digits@1-quick"


@pytest.fixture(scope="session")
def wgan_gp_on_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by the committed budget: its states after a quarter and after all of it, ``1.pt`` and ``4.pt``."""
    from tests.by_budget import train_wgan_gp_on_digits

    return made_once(tmp_path_factory, "wgan-gp-on-digits", train_wgan_gp_on_digits)
