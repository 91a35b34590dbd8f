"""Evaluations over two and three processes: the bits of one, one voice, and an end where a process is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.distributed.launching import ROOT, environment, free_port, genbench, ranks, start_alone

N = 2201
"""Eight blocks of 256 samples and one of 153."""

SCORE = ("score", "tests.distributed.parts:Noise", "--reference", "images.npy", "--n", str(N), "--device", "cpu")
COUNTED = (*SCORE, "--metric", "fd@tests.distributed.parts:Counting.pool", "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    for name, n in (("images", 2300), ("more", 1999), ("many", 20_001)):
        np.save(made / f"{name}.npy", rng.integers(0, 256, (n, 1, 8, 8), dtype=np.uint8))
    return made


@pytest.fixture(scope="module")
def alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = genbench(1, *COUNTED, "--no-cache", cwd=folder)
    assert done.returncode == 0, done.stderr
    return scores(done)


def scores(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The record that was printed; that it can be read says that nothing else was."""
    found: dict[str, Any] = json.loads(done.stdout)
    return {key: found[key] for key in ("scores", "protocol", "sampler")}


def work(log: Path) -> list[tuple[int, int]]:
    """Rank and size of every block that was extracted."""
    return [(int(rank), int(size)) for rank, size in (line.split() for line in log.read_text().splitlines())]


@pytest.fixture(scope="module")
def hashed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """What the ranks of one, two and three processes say of samples in several forms, by number of processes."""
    out = tmp_path_factory.mktemp("hashes")
    program = ("-m", "tests.distributed.hashes", folder, f"{out}/")
    done = [subprocess.run([sys.executable, *map(str, program)], env=environment(), cwd=ROOT, check=False)]
    found = {1: [json.loads((out / "0").read_text())]}
    for world in (2, 3):
        done += [ranks(world, *program, cwd=ROOT)]  # type: ignore[list-item]
        assert done[-1].returncode == 0, done[-1].stderr
        found[world] = [json.loads((out / str(rank)).read_text()) for rank in range(world)]
    return found


@pytest.mark.parametrize("case", ["endless", "finite", "moments"])
def test_two_and_three_ranks_see_and_score_the_bits_of_one_process(
    hashed: dict[int, list[dict[str, Any]]], case: str
) -> None:
    """601 samples of a generator and of a file, and 20,001 of which only sums are kept; real data likewise."""
    (one,) = hashed[1]
    assert one[case]["kind"] == ("MomentSums" if case == "moments" else "Features")
    assert hashed[2][0][case] == one[case]
    assert hashed[3][0][case] == one[case]


def test_every_rank_is_told_the_result(hashed: dict[int, list[dict[str, Any]]]) -> None:
    assert hashed[3][1] == hashed[3][0]
    assert hashed[3][2] == hashed[3][0]


def test_rank_0_alone_prints_and_every_sample_is_extracted_once(folder: Path, alone: Any, tmp_path: Path) -> None:
    done = genbench(2, *COUNTED, "--no-cache", cwd=folder, WORK_LOG=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert scores(done) == alone
    assert done.stderr == ""
    # Generated: blocks 0, 2, 4, 6 and 8 (the last, of 153) for rank 0; 1, 3, 5 and 7 for rank 1.
    # Real: 1024 and 252 for rank 0, 1024 for rank 1.
    expected = {(0, 256): 4, (0, 153): 1, (1, 256): 4, (0, 1024): 1, (1, 1024): 1, (0, 252): 1}
    assert Counter(work(tmp_path / "log")) == expected


def test_a_killed_rank_is_named_and_a_restart_extracts_only_what_is_missing(
    folder: Path, alone: Any, tmp_path: Path
) -> None:
    """The restart has three ranks in place of two: blocks are known by what they hold, not by who made them."""
    broken = genbench(2, *COUNTED, cwd=folder, BREAK="1:3:SIGKILL", WORK_LOG=tmp_path / "log")
    assert broken.returncode == 4
    assert broken.stdout == ""
    assert "rank 1" in broken.stderr
    assert "SIGKILL" in broken.stderr
    before = len(work(tmp_path / "log")) - 1  # the last of rank 1 was not finished
    (tmp_path / "log").unlink()
    done = genbench(3, *COUNTED, cwd=folder, WORK_LOG=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert scores(done) == alone
    kept = len(work(tmp_path / "log"))
    assert before >= 2
    assert kept <= 9 + 3 - 2  # two blocks of rank 1 at least were on disk
    left = list((tmp_path / "cache" / "features").iterdir())
    assert len(left) == 1  # the real data's; the blocks were removed when the scores were there


def test_a_frozen_rank_is_named_though_nobody_watches_over_the_processes(folder: Path) -> None:
    port, given = free_port(), {"cwd": folder, "GENBENCH_LOST_AFTER": 4, "BREAK": "1:3:SIGSTOP"}
    frozen = start_alone(1, port, *COUNTED, "--no-cache", **given)
    try:
        main = start_alone(0, port, *COUNTED, "--no-cache", **given)
        out, err = main.communicate(timeout=240)
    finally:
        frozen.kill()
        frozen.communicate()
    assert main.returncode == 4
    assert out == ""
    assert "rank 1 (" in err
    assert "start the same command again" in err


def test_a_rank_says_so_when_rank_0_is_lost(folder: Path) -> None:
    port, given = free_port(), {"cwd": folder, "GENBENCH_LOST_AFTER": 4, "BREAK": "0:2:SIGKILL"}
    main = start_alone(0, port, *COUNTED, "--no-cache", **given)
    other = start_alone(1, port, *COUNTED, "--no-cache", **given)
    out, err = other.communicate(timeout=240)
    main.communicate()
    assert other.returncode == 4
    assert out == ""
    assert err.startswith("genbench: rank ")
    assert "rank 0" in err
    assert "Traceback" not in err


def test_an_error_of_another_rank_is_told_by_rank_0(folder: Path) -> None:
    done = genbench(2, *COUNTED, "--no-cache", cwd=folder, BREAK="1:1:error")
    assert done.returncode == 4
    told = [line for line in done.stderr.splitlines() if line.startswith("genbench:")]
    assert len(told) == 1
    assert "rank 1 (" in told[0]
    assert "this rank's extractor broke" in told[0]


def test_a_pass_that_rank_0_breaks_off_leaves_nobody_waiting(folder: Path) -> None:
    """Rank 0 refuses its first block of real data; the next pass needs rank 1, which holds a block of the first."""
    given = ("--held-out", "more.npy", "--no-cache", "--n", "1999")
    done = genbench(2, *COUNTED, *given, cwd=folder, BREAK="0:5:refuse")
    assert done.returncode in (0, 3), done.stderr
    found = scores(done)["scores"]
    assert [score["split"] for score in found] == ["train", "test"]
    assert found[-1]["failure"] is None


def test_without_a_leader_the_others_end_with_rank_0(folder: Path, tmp_path: Path) -> None:
    """In a program of one's own that opens a source."""
    program = tmp_path / "own.py"
    program.write_text("from tests.distributed.hashes import *\nprint(look(Path('.'), 'finite'))\n")
    done = ranks(2, program, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [(("score", "nothing.npy", "--benchmark", "digits"), 3), (("run", "digits"), 2), (("score", "--n", "5"), 2)],
)
def test_a_mistake_of_the_user_is_told_once_with_its_exit_code(folder: Path, command: Any, code: int) -> None:
    one = genbench(1, *command, cwd=folder) if command[0] == "score" else None
    done = genbench(3, *command, cwd=folder)
    assert done.returncode == (code if one is None else one.returncode)
    assert done.stdout == ""
    if one is None:
        assert done.stderr.count("genbench: ") == 1
    else:
        assert done.stderr == one.stderr


def test_the_gate_gives_the_verdict_and_exit_code_of_one_process(folder: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "base.json"
    common = ("--against", baseline, "--reference", "images.npy", "--n", "1024", "--device", "cpu")
    made = genbench(1, "check", "more.npy", *common, "--update", cwd=folder)
    assert made.returncode == 0, made.stderr
    worse = (
        "check",
        "tests.distributed.parts:Noise",
        "--against",
        baseline,
        "--reference",
        "images.npy",
        "--seed",
        "3",
    )
    found = [genbench(world, *worse, "--device", "cpu", "--json", cwd=folder) for world in (1, 2)]
    assert found[1].returncode == found[0].returncode, found[1].stderr
    verdicts = [json.loads(done.stdout) for done in found]
    assert verdicts[1]["verdict"] == verdicts[0]["verdict"]


def test_ranks_that_hold_other_data_are_refused(folder: Path, tmp_path: Path) -> None:
    """As on two machines whose disks differ: here, the second process stands in another folder."""
    np.save(tmp_path / "images.npy", np.load(folder / "images.npy")[:, :, ::-1])
    port = free_port()
    other = start_alone(1, port, *COUNTED, "--no-cache", cwd=tmp_path)
    main = start_alone(0, port, *COUNTED, "--no-cache", cwd=folder)
    out, err = main.communicate(timeout=240)
    other.communicate(timeout=240)
    assert main.returncode == 3
    assert out == ""
    assert "rank 1 (" in err
    assert "protocol" in err


def test_the_doctor_examines_every_rank(folder: Path, tmp_path: Path) -> None:
    program = tmp_path / "examine.py"
    program.write_text(
        "import sys\n"
        "from genbench.distributed.leading import as_one\n"
        "from genbench.doctor import diagnose_ranks\n"
        "def main():\n"
        "    lines, code = diagnose_ranks()\n"
        "    print('\\n'.join(lines))\n"
        "    return code\n"
        "sys.exit(as_one(main))\n"
    )
    done = ranks(3, program, cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("ranks", "genbench", "torch", "python", "rank 2", "clock", "transfer"):
        assert f"ok   {name}" in done.stdout
    assert done.stdout.splitlines()[-1] == "all is well"


WIDE = ("score", "wide.npy", "--reference", "wider.npy", "--held-out", "widest.npy", "--no-cache", "--json")
SHARED = (*WIDE, "--metric", "tests.distributed.parts:SHARED_MEAN")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets whose pairs are enough work to be shared: 2,003^2 x 256 > 10^9."""
    made = tmp_path_factory.mktemp("wide")
    rng = np.random.default_rng(0)
    for name in ("wide", "wider", "widest"):
        np.save(made / f"{name}.npy", rng.standard_normal((2003, 256)).astype(np.float32))
    return made


@pytest.mark.parametrize("world", [2, 3])
def test_metrics_that_the_ranks_share_are_those_of_one_process(wide: Path, tmp_path: Path, world: int) -> None:
    """Pairwise, transport, moments, a metric with random numbers, and one of the user's own that another rank does."""
    metrics = [f"--metric={name}" for name in ("fd", "kd", "recall", "kl_knn", "sliced_w2", "c2st")]
    one = genbench(1, *SHARED, *metrics, cwd=wide, TASK_LOG=tmp_path / "one")
    assert one.returncode == 0, one.stderr
    done = genbench(world, *SHARED, *metrics, "--profile", cwd=wide, TASK_LOG=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    assert scores(done) == scores(one)
    assert int((tmp_path / "log").read_text()) in range(1, world)
    assert {"features to other ranks", "metrics of other ranks"} <= set(json.loads(done.stdout)["profile"])


def test_a_rank_that_is_killed_at_a_metric_is_named(wide: Path, tmp_path: Path) -> None:
    done = genbench(2, *SHARED, cwd=wide, TASK_LOG=tmp_path / "log", BREAK="metric", GENBENCH_LOST_AFTER=4)
    assert done.returncode == 4
    assert done.stdout == ""
    assert "rank 1" in done.stderr
    assert "Traceback" not in done.stderr
