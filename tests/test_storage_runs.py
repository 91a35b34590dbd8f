"""Runs whose results lie at a URL are the runs of a folder, byte for byte; interrupted, continued, read and gated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from genbench.cli import main
from genbench.errors import ProtocolError
from genbench.merge import leaderboards, merge_folders
from genbench.run import run_benchmark
from genbench.storage import Remote
from genbench.store import Store
from tests.launchers.likeness import assert_alike
from tests.launchers.test_command_line import TINY
from tests.makers import make_benchmark, make_run
from tests.shelf import install


@pytest.fixture
def memory() -> Iterator[Remote]:
    """A place in this process's memory; fsspec's is one for all, so it is emptied."""
    yield Remote("memory://results")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def fetched(place: Remote, folder: Path) -> Path:
    """Copy everything of a place in memory to a folder."""
    for name, content in MemoryFileSystem.store.items():
        file = folder / name.removeprefix(f"/{place.url.partition('://')[2]}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.getvalue())
    return folder


def test_records_are_found_again_and_damaged_ones_named(memory: Remote) -> None:
    store = Store(memory, "digits@1")
    runs = [make_run(name, seed) for name in ("gan", "vae") for seed in (0, 1)]
    for run in runs:
        store.write(run)
    assert store.runs() == runs
    assert store.find("gan", 1, 6000) == runs[1]
    assert store.find("gan", 2, 6000) is None
    store.path("vae", 0, 6000).upload(b"{")  # type: ignore[union-attr]
    with pytest.raises(ProtocolError, match=r"^memory://results/digits@1/records/vae/seed0-step0006000\.json: "):
        store.runs()


def test_a_record_that_goes_while_others_are_read_is_named(memory: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    store, find = Store(memory, "digits@1"), MemoryFileSystem.find
    for seed in range(3):
        store.write(make_run("gan", seed))

    def find_and_remove(self: MemoryFileSystem, path: str, **options: Any) -> Any:
        found = find(self, path, **options)
        self.rm_file(found[1])
        return found

    monkeypatch.setattr(MemoryFileSystem, "find", find_and_remove)
    with pytest.raises(ProtocolError, match=r"seed1-step0006000\.json: cannot be read"):
        store.runs()


def test_an_interrupted_run_in_a_store_ends_in_the_bytes_of_a_local_one(
    memory: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at a training state's upload, a record's and a table's: the training goes on from what is there."""
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path / "local", device="cpu")
    for part in ("checkpoints", "records/wgan-gp", "scores.csv"):
        with monkeypatch.context() as patch:
            upload = Remote.upload

            def cut(self: Remote, content: bytes, upload: Any = upload, part: str = part) -> None:
                upload(self, content)
                if part in self.url:
                    raise KeyboardInterrupt

            patch.setattr(Remote, "upload", cut)
            with pytest.raises(KeyboardInterrupt):
                run_benchmark(benchmark, out=memory, device="cpu", workers=2)  # one: memory is of one process
    run_benchmark(benchmark, out=memory, device="cpu")
    assert_alike(tmp_path / "local" / benchmark.id, fetched(memory, tmp_path / "far") / benchmark.id)


def test_a_damaged_training_state_is_set_aside_and_made_again(memory: Remote) -> None:
    benchmark = make_benchmark(seeds=(0,))
    before = run_benchmark(benchmark, out=memory, device="cpu", controls=False)
    state = memory / benchmark.id / "checkpoints" / "gan" / "seed0.pt"
    state.upload(state.read_bytes()[:-1])
    Store(memory, benchmark.id).path("gan", 0, benchmark.evaluation_steps("gan")[-1]).unlink()
    after = run_benchmark(benchmark, out=memory, device="cpu", controls=False)
    assert [run.scores for run in after] == [run.scores for run in before]
    assert state.is_file()
    assert (state.parent / "seed0.pt.corrupt").is_file()


def test_cells_done_elsewhere_arrive_in_the_store_and_share_a_cache_at_a_url(memory: Remote, tmp_path: Path) -> None:
    benchmark = make_benchmark(seeds=(0,))
    run_benchmark(benchmark, out=tmp_path / "local", device="cpu")
    far: dict[str, Any] = {"launcher": "tests.launchers.at_once:AtOnce", "launcher_options": {"checkpoints": "yes"}}
    run_benchmark(benchmark, out=memory / "out", cache_folder=memory / "cache", device="cpu", **far)
    assert_alike(tmp_path / "local" / benchmark.id, fetched(memory, tmp_path / "far") / "out" / benchmark.id)
    assert list((memory / "cache" / "features").glob("*.npz"))


def test_folders_of_both_kinds_make_one_board(memory: Remote, tmp_path: Path) -> None:
    for place, name in ((tmp_path / "labA", "gan"), (memory / "labB", "gan"), (memory / "labB", "vae")):
        for seed in (0, 1):
            Store(place, "digits@1").write(make_run(name, seed, value=1.0 + seed))
    boards = merge_folders([tmp_path / "labA", memory / "labB"], rename=["memory://results/labB:gan=gan-b"])
    assert sorted(boards[0].labels.values()) == ["digits@1", "memory://results/labB/digits@1"]
    text, _ = leaderboards(boards, "md")
    assert "--rename memory://results/labB/digits@1:gan=gan-b" in text
    assert {run.sampler for run in boards[0].finals} == {"gan", "gan-b", "vae"}


def test_the_command_line_takes_urls_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By processes of their own, as users do; workers write to the store themselves. About 30 s of processor time."""
    shelf = install(tmp_path, monkeypatch)
    monkeypatch.setenv("GENBENCH_CACHE", "shelf://cache")
    (tmp_path / "tiny.toml").write_text(TINY)
    tiny = str(tmp_path / "tiny.toml")
    common = ["--device", "cpu", "--quiet"]
    run = ["run", tiny, *common, "--out"]
    command = [sys.executable, "-m", "genbench", *run, "shelf://x", "--workers", "2"]
    far = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert far.stderr.count("whether a reader can see half") == 1
    assert main([*run, f"file://{tmp_path}/local", "--workers", "1", "--no-cache"]) == 0
    said = capsys.readouterr().out
    assert far.stdout.replace("shelf://x", f"{tmp_path}/local") == said
    assert_alike(tmp_path / "local" / "tiny@1", shelf / "x" / "tiny@1")
    known = {path: path.stat().st_mtime_ns for path in (shelf / "cache").rglob("*.npz")}
    assert known

    samples = tmp_path / "mine.npy"
    np.save(samples, np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    assert main(["score", str(samples), "--benchmark", tiny, "--out", "shelf://x", *common]) == 0
    assert (shelf / "x" / "tiny@1" / "records" / "mine" / "samples.json").is_file()
    after = {path: path.stat().st_mtime_ns for path in (shelf / "cache").rglob("*.npz")}
    assert {path: after[path] for path in known} == known  # what the first process computed was not written again
    assert main(["cache", "verify"]) == 0
    assert f"{len(after)} files" in capsys.readouterr().out

    assert main(["leaderboard", "shelf://x", "--out", "shelf://boards/all.csv"]) == 0
    assert "mine" in (shelf / "boards" / "all.csv").read_text()
    assert main(["report", "shelf://x/tiny@1"]) == 0
    assert capsys.readouterr().out.endswith("shelf://x/tiny@1/report.html\n")
    assert "data:image/png" in (shelf / "x" / "tiny@1" / "report.html").read_text()
    assert main(["compare", "shelf://x/tiny@1:gan", "shelf://x/tiny@1/records/mine/samples.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["b"] == "mine"
    gate = ["shelf://x/tiny@1:gan", "--against", "shelf://gate/gan.json"]
    assert main(["check", *gate, "--update"]) == 0
    assert main(["check", *gate, "--allow-inconclusive"]) == 0
    assert main(["export", "shelf://x/tiny@1", "--to", "jsonl"]) == 0
    capsys.readouterr()
    assert main(["export", "shelf://x/tiny@1", "--to", "tensorboard"]) == 2
    assert "name one with --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["run", "digits", "--out", "s4://bucket/x"], 2),
        (["leaderboard", "memory://empty"], 2),
        (["report", "memory://empty/digits@1"], 2),
        (["compare", "memory://empty/digits@1:gan", "memory://empty/digits@1:vae"], 2),
        (["compare", "memory://empty", "memory://empty"], 2),
        (["check", "memory://empty/digits@1:gan", "--against", "memory://empty/base.json"], 3),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    given: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == code
    said = capsys.readouterr().err
    assert said.startswith("genbench: ")
    assert said.count("\n") == 1
    assert "empty" in said or "s4" in said


def test_s3_is_a_store_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run and a leaderboard in a bucket of a server that plays S3, in processes of their own; the same board."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    port = 20000 + os.getpid() % 20000
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (tmp_path / "tiny.toml").write_text(TINY)
    log = tmp_path / "server.log"
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "moto.server", "-p", str(port)]
        server = subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while b"Running on" not in log.read_bytes():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)

        def ask(*arguments: str) -> str:
            command = [sys.executable, *arguments]
            return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout

        ask("-c", "import s3fs; s3fs.S3FileSystem().mkdir('bucket')")
        run = ["run", str(tmp_path / "tiny.toml"), "--device", "cpu", "--quiet", "--workers", "1", "--out"]
        far = ask("-m", "genbench", *run, "s3://bucket/x")
        assert main([*run, str(tmp_path)]) == 0
        assert far.replace("s3://bucket/x", str(tmp_path)) == capsys.readouterr().out
        assert "s3://bucket/x/tiny@1" in ask("-m", "genbench", "leaderboard", "s3://bucket/x")
    finally:
        server.kill()
        server.wait()
