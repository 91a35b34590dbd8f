"""What is asked of a Ray cluster, of which a stand-in tells what it was asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from genbench.errors import SetupError, UnknownNameError
from genbench.launchers.cells import Cell, Options, Plan
from genbench.launchers.ray import RayLauncher, ray_cell
from genbench.store import Store
from tests.makers import make_benchmark

CELL = Cell("gan", 0, "gan")


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's."""


class StandIn(ModuleType):
    """A cluster of one machine; every task ends in an error."""

    def __init__(self, resources: dict[str, float], *, fails: Exception | None = None) -> None:
        super().__init__("ray")
        self.resources, self.fails = resources, fails
        self.asked: dict[str, Any] = {}
        self.up = False
        self.exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
        self.ends_in: Exception = RayTaskError("Traceback\nModuleNotFoundError: No module named 'genbench'")

    def is_initialized(self) -> bool:
        return self.up

    def init(self, **how: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.asked |= how
        self.up = True

    def shutdown(self) -> None:
        self.up = False

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": self.resources}, {"Alive": False, "Resources": {"CPU": 9e9, "GPU": 9e9}}]

    def remote(self, **how: Any) -> Any:
        self.asked |= how
        return lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda *_: iter([None])))

    def wait(self, streams: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return streams, []

    def get(self, _: Any) -> Any:
        raise self.ends_in

    def cancel(self, *_: Any, **__: Any) -> None:
        self.asked["cancelled"] = True


def launcher_on(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch, out: Path, *, device: str = "auto", **options: str
) -> RayLauncher:
    """Make the launcher of a run on a cluster."""
    monkeypatch.setitem(sys.modules, "ray", cluster)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    benchmark = make_benchmark()
    job = {"benchmark": benchmark, "store": Store(out, benchmark.id), "device": device, "cache_folder": None}
    return RayLauncher(Plan(job=job, cells=[CELL], workers=None, options=Options("ray", options)))


def test_a_cluster_of_its_own_has_no_dashboard_and_stays_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster, stdout = StandIn({"CPU": 2.0}), sys.stdout
    launcher = launcher_on(cluster, monkeypatch, tmp_path)
    assert sys.stdout is sys.stderr  # Ray prints there from a thread of its own
    assert (cluster.asked["include_dashboard"], cluster.asked["_node_ip_address"]) == (False, "127.0.0.1")
    launcher.close()
    assert not cluster.up
    assert sys.stdout is stdout


@pytest.mark.parametrize(
    ("device", "options", "expected"),
    [
        ("auto", {}, (1.0, 1.0)),
        ("cpu", {}, (1.0, 0.0)),
        ("auto", {"gpus": "0.25", "cpus": "2"}, (2.0, 0.25)),
    ],
)
def test_a_cell_gets_a_gpu_where_there_are_any_or_what_was_asked_for(
    device: str,
    options: dict[str, str],
    expected: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    cluster = StandIn({"CPU": 8.0, "GPU": 4.0})
    launcher_on(cluster, monkeypatch, tmp_path, device=device, **options).close()
    assert (cluster.asked["num_cpus"], cluster.asked["num_gpus"]) == expected
    assert cluster.asked["max_retries"] == 0  # else a cell would be tried more often than is said


def test_a_task_that_no_machine_could_ever_take_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster, stdout = StandIn({"CPU": 2.0}), sys.stdout
    with pytest.raises(SetupError, match="with 1 CPUs and 1 GPUs expected, got at most 2 and 0"):
        launcher_on(cluster, monkeypatch, tmp_path, gpus="1")
    assert not cluster.up
    assert sys.stdout is stdout


def test_on_a_cluster_that_may_grow_a_task_waits_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    launcher = launcher_on(StandIn({"CPU": 2.0}), monkeypatch, tmp_path, gpus="1", address="auto")
    launcher.submit(CELL, None)
    first = next(iter(launcher.events(0.0)))
    assert first.kind == "say"
    assert first.content.endswith("got at most 2 and 0; waiting for one")
    launcher.close()


def test_where_no_cluster_answers_the_address_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(address: tuple[str, int], timeout: float) -> None:
        raise ConnectionRefusedError(f"nobody at {address[0]} {address[1]}")

    monkeypatch.setattr("genbench.launchers.ray.socket.create_connection", refuse)
    cluster = StandIn({})
    with pytest.raises(SetupError, match="a cluster expected at 'ray://far:6379', got nobody at far 6379"):
        launcher_on(cluster, monkeypatch, tmp_path, address="ray://far:6379")
    assert cluster.asked == {}


def test_a_cluster_that_does_not_let_us_in_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="a cluster expected at 'auto', got another Python"):
        launcher_on(StandIn({}, fails=RuntimeError("another Python")), monkeypatch, tmp_path, address="auto")


def test_options_that_ray_does_not_have_are_refused_before_it_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = StandIn({"CPU": 2.0})
    with pytest.raises(UnknownNameError, match="Did you mean 'cpus'"):
        launcher_on(cluster, monkeypatch, tmp_path, cpu="1")
    assert cluster.asked == {}


def test_a_worker_without_genbench_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    launcher = launcher_on(StandIn({"CPU": 2.0}), monkeypatch, tmp_path)
    launcher.submit(CELL, None)
    (event,) = launcher.events(0.0)
    assert event.kind == "error"
    assert "No module named 'genbench'); pip install genbench==" in str(event.content)
    launcher.close()


def test_a_machine_that_is_lost_is_a_try_that_died(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = StandIn({"CPU": 2.0})
    cluster.ends_in = RayError("the node died")
    launcher = launcher_on(cluster, monkeypatch, tmp_path)
    launcher.submit(CELL, None)
    (event,) = launcher.events(0.0)
    assert (event.kind, event.content) == ("died", "its process died (RayError)")
    launcher.close()


def test_what_is_under_way_is_ended_on_leaving(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cluster = StandIn({"CPU": 2.0})
    launcher = launcher_on(cluster, monkeypatch, tmp_path)
    launcher.submit(CELL, None)
    launcher.close()
    assert cluster.asked["cancelled"]


def test_a_task_yields_what_is_told_until_the_end() -> None:
    told = list(ray_cell("0.0.0", b""))
    assert [kind for kind, _ in told] == ["started", "error"]
