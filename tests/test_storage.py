"""Places: a URL does what a path does, and what a store cannot do is said in one sentence."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

import genbench.atomic
from genbench.atomic import check_writable, default_cache_folder, feature_cache_folder, write_atomic
from genbench.cache import FeatureCache
from genbench.errors import SetupError, UsageError
from genbench.storage import Place, Remote, contains, parse_place, read_together, rename
from tests.shelf import Shelf, install


@pytest.fixture(params=["path", "file", "memory", "shelf"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty place of every kind: what holds of a path is to hold of each."""
    install(tmp_path, monkeypatch)
    name = f"{request.node.originalname}/{tmp_path.name}"
    urls = {"path": str(tmp_path / "x"), "file": f"file://{tmp_path}/x", "memory": f"memory://{name}"}
    found = parse_place(urls.get(request.param, f"shelf://{name}"))
    yield found
    if isinstance(found, Remote) and found.exists():
        fsspec.core.url_to_fs(found.url)[0].rm(fsspec.core.url_to_fs(found.url)[1], recursive=True)


def names(places: Iterator[Place]) -> list[str]:
    return sorted(found.name for found in places)


def test_files_are_written_found_listed_and_removed(place: Place) -> None:
    assert not place.exists()
    assert list(place.glob("*/*.json")) == list(place.glob("*")) == []
    for name in ("records/gan/seed1.json", "records/gan/seed0.json", "records/vae/a.json", "records/note.txt", "t.csv"):
        write_atomic(place / name, name.encode())
    records = place / "records"
    assert sorted(records.glob("*/*.json")) == [
        records / "gan" / "seed0.json", records / "gan" / "seed1.json", records / "vae" / "a.json"
    ]  # fmt: skip
    assert names((records / "gan").glob("seed1*.json")) == ["seed1.json"]
    assert names(records.iterdir()) == ["gan", "note.txt", "vae"]
    assert names(place.glob("*.csv")) == ["t.csv"]
    assert (records / "gan").is_dir()
    assert not (records / "gan").is_file()
    assert (place / "t.csv").is_file()
    assert not (place / "t.csv").is_dir()
    assert (place / "t.csv").read_text() == "t.csv"
    (place / "t.csv").unlink()
    assert not (place / "t.csv").exists()
    (place / "t.csv").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (place / "t.csv").unlink()
    with pytest.raises(FileNotFoundError):
        (place / "t.csv").read_bytes()


def test_a_file_is_written_over_and_nothing_is_left_beside_it(place: Place) -> None:
    write_atomic(place / "a.npz", b"one")
    write_atomic(place / "a.npz", b"three")
    assert (place / "a.npz").read_bytes() == b"three"
    assert (place / "a.npz").stat().st_size == 5
    write_atomic(place / "a.corrupt", b"old")
    rename(place / "a.npz", "a.corrupt")
    assert names(place.iterdir()) == ["a.corrupt"]
    assert (place / "a.corrupt").read_bytes() == b"three"


def test_a_place_is_proven_writable_and_left_as_it_was(place: Place) -> None:
    write_atomic(place / "x", b"")
    check_writable(place)
    assert names(place.iterdir()) == ["x"]


def test_names_are_those_of_paths(place: Place) -> None:
    file = place / "records/gan" / "seed0.json"
    assert (file.name, file.stem, file.suffix, file.parent.name) == ("seed0.json", "seed0", ".json", "gan")
    assert file.parent.parent.parent == place
    assert contains(place, file)
    assert contains(place, place)
    assert not contains(place / "rec", file)
    assert not contains(file, place)
    assert pickle.loads(pickle.dumps(file)) == file
    assert parse_place(place) is place
    assert sorted([place / "b", place / "a"]) == [place / "a", place / "b"]


def test_a_cache_is_hit_and_a_damaged_file_set_aside(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    def compute() -> dict[str, Any]:
        made.append(1)
        return {"pool": np.arange(6.0).reshape(3, 2)}

    made: list[int] = []
    cache, key = FeatureCache(place), "ab" * 32
    first = cache.fetch(key, compute)
    assert (cache.fetch(key, compute)["pool"] == first["pool"]).all()
    assert made == [1]
    assert [(file.path.stem, file.state) for file in cache.verify()] == [(key, "ok")]
    assert -1 < cache.files()[0].age_days * 24 * 60 < 10
    write_atomic(cache.files()[0].path, b"PK damaged")
    assert (cache.fetch(key, compute)["pool"] == first["pool"]).all()
    assert made == [1, 1]
    assert "damaged" in caplog.text
    assert sorted(file.state for file in cache.files()) == ["set aside", "unread"]
    assert len(cache.prune()) == 2
    assert cache.files() == []


def test_a_bucket_has_a_parent_that_leads_back() -> None:
    bucket = Remote("s3://results")
    assert bucket.parent / bucket.name == bucket


def test_a_trailing_slash_means_nothing() -> None:
    assert parse_place("memory://a/b//") == Remote("memory://a/b")


def test_no_password_is_shown() -> None:
    place = Remote("sftp://me:secret@host/results") / "gan"
    assert str(place) == "sftp://me:***@host/results/gan"
    assert str(Remote("s3://a/b@1:c")) == "s3://a/b@1:c"


def test_a_path_does_not_import_fsspec(tmp_path: Path) -> None:
    """Nor does a file:// URL, which is a path."""
    code = (
        "import sys; from genbench.storage import parse_place as p; from genbench.atomic import write_atomic as w\n"
        "from genbench.atomic import check_writable\n"
        f"for text in ({str(tmp_path / 'a')!r}, 'file://{tmp_path}/b'):\n"
        "    check_writable(p(text)); w(p(text) / 'x', b'1'); assert p(text).is_dir()\n"
        "assert 'fsspec' not in sys.modules and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s4://bucket/x", "which it does not know"),
        ("file://x/y", "file:///mnt/results"),
        ("memory://", "s3://bucket/results"),
        ("simplecache::s3://bucket/x", "one protocol"),
        ("S3://bucket/x", "small letters"),
    ],
)
def test_what_is_no_url_is_a_wrong_call(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        parse_place(text)
    assert text in str(caught.value)
    assert said in str(caught.value)


def test_without_fsspec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(SetupError, match=r'^s3://bucket/x: .*; pip install "genbench\[storage\]"\.$'):
        parse_place("s3://bucket/x")
    assert parse_place("results") == Path("results")


def test_a_protocol_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_implementations, "far", {"class": "no_such_package.X", "err": "Please install farfs"})
    with pytest.raises(SetupError, match=r"^far://x/y: .*Please install farfs"):
        parse_place("far://x/y")


@pytest.mark.parametrize(
    ("method", "done"),
    [("info", "looked at"), ("find", "listed"), ("ls", "listed"), ("cat_file", "read"), ("pipe_file", "written")],
)
def test_whatever_a_driver_raises_is_one_sentence(method: str, done: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Unable to\nlocate credentials.")

    place = Remote("memory://refused")
    asks = {"info": place.exists, "find": lambda: list(place.glob("*/*")), "ls": lambda: list(place.iterdir()),
            "cat_file": place.read_bytes, "pipe_file": lambda: write_atomic(place, b"")}  # fmt: skip
    monkeypatch.setattr(MemoryFileSystem, method, fail)
    said = rf"^memory://refused: cannot be {done} \(RuntimeError: Unable to locate credentials\); check .*\.$"
    with pytest.raises(SetupError, match=said):
        asks[method]()


def test_a_bucket_that_is_not_there_is_no_missing_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("The specified bucket does not exist")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", fail)
    with pytest.raises(SetupError, match=r"no such bucket or folder: The specified bucket does not exist"):
        check_writable(Remote("memory://absent/x"))


def test_an_unreachable_cache_costs_time_and_no_score(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("unreachable")

    for method in ("cat_file", "pipe_file"):
        monkeypatch.setattr(MemoryFileSystem, method, fail)
    found = FeatureCache(Remote("memory://cache")).fetch("ab" * 32, lambda: {"pool": np.ones(3)})
    assert found["pool"].tolist() == [1, 1, 1]
    assert "features are computed again" in caplog.text
    assert "features are not cached" in caplog.text


def test_where_a_store_renames_a_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = install(tmp_path, monkeypatch)
    write_atomic(parse_place("shelf://x/a"), b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the line is down")

    monkeypatch.setattr(Shelf, "mv", fail)
    with pytest.raises(SetupError, match=r"shelf://x/a: cannot be written \(OSError: the line is down\)"):
        write_atomic(parse_place("shelf://x/a"), b"new")
    assert {path.name: path.read_bytes() for path in (shelf / "x").iterdir()} == {"a": b"old"}


def test_what_may_be_seen_half_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(tmp_path, monkeypatch)
    monkeypatch.setattr(genbench.atomic, "_said", set())
    caplog.set_level(logging.WARNING)
    for url in ("memory://x", "shelf://x", "shelf://y"):
        check_writable(parse_place(url))
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["shelf"]
    assert "half" in caplog.text


def test_several_files_are_asked_for_together_and_one_that_is_gone_is_left_out() -> None:
    places = [Remote(f"memory://together/{i}") for i in range(3)]
    for place in places[:2]:
        place.upload(place.name.encode())
    assert read_together(places) == {places[0]: b"0", places[1]: b"1"}


def test_brackets_in_a_name_are_no_pattern() -> None:
    places = [Remote(f"memory://together[1]/{i}") for i in range(2)]
    for place in places:
        place.upload(b"1")
    assert sorted(places[0].parent.glob("*")) == places
    assert read_together(places) == {}  # asked for again, one by one
    assert [place.read_bytes() for place in places] == [b"1", b"1"]


def test_the_cache_may_be_a_url_but_not_what_must_be_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GENBENCH_CACHE", "memory://cache")
    assert feature_cache_folder() == Remote("memory://cache")
    assert default_cache_folder() == tmp_path / "genbench"
    monkeypatch.setenv("GENBENCH_CACHE", str(tmp_path / "a"))
    assert feature_cache_folder() == default_cache_folder() == tmp_path / "a"
