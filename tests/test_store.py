"""Records on disk: found again, never half there, never mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.errors import ProtocolError, UsageError
from genbench.store import Store, check_name
from tests.makers import make_run


def test_what_was_written_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    run = make_run("gan", 3)
    assert store.find("gan", 3, 6000) is None
    store.write(run)
    assert store.find("gan", 3, 6000) == run
    assert store.runs() == [run]


def test_cells_have_files_of_their_own(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    cells = [("gan", 0, 1), ("gan", 0, 2), ("gan", 1, 1), ("vae", 0, 1), ("vae", None, None)]
    assert len({store.path(*cell) for cell in cells}) == len(cells)


def test_records_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    Store(tmp_path, "digits@1-quick").write(make_run())
    with pytest.raises(ProtocolError, match="digits@1-quick expected, got one of digits@1"):
        Store(tmp_path, "digits@1-quick").runs()


def test_unlike_protocols_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    store.write(make_run("gan"))
    store.write(make_run("vae", protocol="ef" * 32))
    with pytest.raises(ProtocolError, match="gan and vae were made under unlike protocols"):
        store.runs()


def test_a_new_record_of_another_protocol_is_refused_before_it_is_made(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    store.check_protocol("ef" * 32)
    store.write(make_run("gan"))
    store.check_protocol("cd" * 32)
    with pytest.raises(ProtocolError, match="another protocol"):
        store.check_protocol("ef" * 32)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    store.write(make_run())
    path = store.path("gan", 0, 6000)
    path.write_text(path.read_text()[:100])
    with pytest.raises(ProtocolError, match=r"seed0-step0006000\.json"):
        store.runs()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path, "digits@1")
    store.path("gan", 0, 6000).mkdir(parents=True)
    with pytest.raises(ProtocolError, match=r"seed0-step0006000\.json: cannot be read"):
        store.runs()


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "x" * 101])
def test_names_that_cannot_be_folders_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        check_name(name)
