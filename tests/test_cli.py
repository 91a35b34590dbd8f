"""The command line: exit codes, one clear sentence for each mistake, data on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genbench.cli import main
from tests.makers import ImageSampler

RUN = ["run", "--device", "cpu", "--quiet"]
SCORE = ["--benchmark", "digits", "--quick", "--device", "cpu", "--quiet"]


def images(n: int = 300) -> np.ndarray:
    """Random uint8 images, (n, 1, 8, 8)."""
    return ImageSampler().sample(n, seed=0).numpy()


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, said: str) -> None:
    """Assert the exit code, one sentence on stderr, no traceback, and nothing on stdout."""
    assert main(arguments) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.err.startswith("genbench: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "metrics"],
        ["run", "--help"],
        ["score", "--help"],
        ["check", "--help"],
        ["leaderboard", "--help"],
    ],
    ids=" ".join,
)
def test_what_needs_no_torch_does_not_import_it(arguments: list[str]) -> None:
    code = (
        "import sys, genbench.cli\n"
        f"code = genbench.cli.main({arguments!r})\n"
        "heavy = [m for m in ('torch', 'scipy', 'pandas', 'sklearn', 'ot') if m in sys.modules]\n"
        "sys.exit(9 if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, genbench; genbench.load_benchmark('digits'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_scoring_files_imports_no_library_that_its_metrics_do_not_use(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("generated", "reference"):
        np.save(tmp_path / f"{name}.npy", rng.standard_normal((60, 4)))
    code = (
        "import sys, genbench.cli\n"
        "code = genbench.cli.main(['score', 'generated.npy', '--reference', 'reference.npy', '--device', 'cpu'])\n"
        "unused = ('scipy.stats', 'sklearn', 'ot', 'torchvision', 'torch_fidelity', 'numba', 'matplotlib', 'PIL')\n"
        "sys.exit(', '.join(name for name in unused if name in sys.modules) or code)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_other_libraries_are_told_not_to_spin_and_to_use_large_pages_unless_someone_has_said_how():
    names = ("OPENBLAS_THREAD_TIMEOUT", "GOMP_SPINCOUNT", "THP_MEM_ALLOC_ENABLE")
    code = f"import genbench, os; print(*[os.environ[name] for name in {names}])"
    bare = {name: value for name, value in os.environ.items() if name not in names}
    for said, expected in [({}, "4 1000 1"), ({"GOMP_SPINCOUNT": "7", "THP_MEM_ALLOC_ENABLE": "0"}, "4 7 0")]:
        done = subprocess.run([sys.executable, "-c", code], env=bare | said, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == expected


def test_list_names_everything_that_is_registered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("digits@1", "ring8@1", "fd ", "w2 ", "digits-cnn", "wgan-gp", "vae"):
        assert f"  {name}" in out


def test_doctor_finds_this_installation_well(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])
    out = capsys.readouterr().out
    assert "all is well" in out, out
    assert code == 0
    assert "torchvision" in out


def test_doctor_explains_a_torchvision_that_does_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import genbench.doctor

    load = genbench.doctor.importlib.import_module

    def broken(name: str) -> object:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist")
        return load(name)

    monkeypatch.setattr(genbench.doctor.importlib, "import_module", broken)
    assert main(["doctor"]) == 4
    out = capsys.readouterr().out
    assert "FAIL torchvision" in out
    assert "torch and torchvision must come from one source" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*RUN, "digit"], 2, "Did you mean 'digits'"),
        ([*RUN, "digits@9"], 2, "has version 1"),
        ([*RUN, "--baseline", "wgangp"], 2, "Did you mean 'wgan-gp'"),
        ([*RUN, "--seeds", "0,x"], 2, "--seeds"),
        ([*RUN, "--seeds", "-1"], 2, "--seeds"),
        ([*RUN, "--out", "/dev/null/results"], 4, "--out"),
        (["run", "--quiet", "--quick", "--device", "quantum", "--out", "."], 2, "quantum"),
        (["score", "nowhere.npz", *SCORE], 2, "nowhere.npz"),
        (["score", "x.npz", "--benchmark", "digitz"], 2, "Did you mean 'digits'"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else None,
)
def test_wrong_usage_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    arguments: list[str], code: int, said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    fails(capsys, arguments, code, said)


def _write(folder: Path, kind: str) -> str:
    """Write a bad input and return its path."""
    path = folder / "bad.npy"
    if kind == "empty file":
        path.write_bytes(b"")
    elif kind == "no rows":
        np.save(path, images(1)[:0])
    elif kind == "nan":
        np.save(path, np.full((300, 1, 8, 8), np.nan, dtype=np.float32))
    elif kind == "undeclared range":
        np.save(path, images().astype(np.float32) / 255)
    elif kind == "wrong channels":
        np.save(path, images().repeat(3, axis=1))
    elif kind == "wrong size":
        np.save(path, images().repeat(2, axis=2).repeat(2, axis=3))
    elif kind == "too few":
        np.save(path, images(17))
    elif kind == "pickled":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "text":
        path = folder / "bad.txt"
        path.write_text("hello")
    elif kind == "empty folder":
        path = folder / "none"
        path.mkdir()
    else:
        path = folder / "mixed"
        path.mkdir()
        for i, size in enumerate((8,) * 299 + (9,)):
            Image.fromarray(np.zeros((size, size), np.uint8)).save(path / f"{i}.png")
    return str(path)


@pytest.mark.parametrize(
    ("kind", "code", "said"),
    [
        ("empty file", 3, "bad"),
        ("no rows", 3, "bad"),
        ("nan", 3, "finite"),
        ("undeclared range", 2, "--value-range"),
        ("wrong channels", 3, "channel"),
        ("wrong size", 3, "8"),
        ("too few", 3, "17"),
        ("pickled", 3, "pickle"),
        ("text", 2, ".txt"),
        ("empty folder", 3, "image"),
        ("mixed sizes", 3, "9 x 9"),
    ],
)
def test_bad_samples_are_one_sentence_and_leave_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, code: int, said: str
) -> None:
    arguments = ["score", _write(tmp_path, kind), *SCORE, "--name", "bad", "--out", str(tmp_path / "out")]
    fails(capsys, arguments, code, said)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]


def test_scores_are_printed_and_stored(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "noise.npz", arr_0=images(400).transpose(0, 2, 3, 1))
    out = tmp_path / "out"
    assert main(["score", str(tmp_path / "noise.npz"), *SCORE, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "noise on digits@1-quick, n = 300" in printed
    assert "fd@digits-cnn.pool" in printed
    record = json.loads((out / "digits@1-quick" / "records" / "noise" / "samples.json").read_text())
    assert record["quick"] is True
    assert {s["metric"] for s in record["scores"]} >= {"fd", "is", "w2", "coverage"}
    assert (out / "digits@1-quick" / "scores.csv").read_text().count(",noise,") > 20
    assert (out / "digits@1-quick" / "leaderboard.csv").read_text().count(",noise,") == 1


def test_json_is_the_record(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    floats = tmp_path / "floats.npy"
    np.save(floats, images().astype(np.float32) / 127.5 - 1)
    as_bytes = tmp_path / "bytes.npy"
    np.save(as_bytes, images())
    assert main(["score", str(floats), *SCORE, "--value-range", "-1", "1", "--json"]) == 0
    from_floats = json.loads(capsys.readouterr().out)
    assert main(["score", str(as_bytes), *SCORE, "--json"]) == 0
    from_bytes = json.loads(capsys.readouterr().out)
    assert from_floats["scores"] == from_bytes["scores"], "the same images in two ranges are the same samples"


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m genbench list | head -n 1", shell=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("benchmarks:")
    assert "Traceback" not in done.stderr


def test_usage_errors_of_the_parser_are_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["score"]) == 2
    assert main(["run", "--no-such-option"]) == 2
    assert "usage: genbench" in capsys.readouterr().err
