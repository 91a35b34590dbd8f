"""What `genbench score` and `train-extractor` do from the command line with models that genbench made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import genbench
from genbench.cli import main

TINY = """
name = "tiny"
version = 1
dataset = "ring8"
n = 300
seeds = [0]
checkpoints = 1
primary = "fd@identity.pool"
[metrics]
"fd@identity.pool" = {}
[baselines.gan]
steps = 30
batch = 32
"""


def test_a_checkpoint_of_a_run_scores_as_the_run_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    benchmark = str(tmp_path / "tiny.toml")
    assert main(["run", benchmark, "--out", str(tmp_path / "out"), "--quiet", "--no-cache", "--device", "cpu"]) == 0
    capsys.readouterr()
    (checkpoint,) = (tmp_path / "out" / "tiny@1" / "checkpoints").rglob("*.pt")
    command = ["score", str(checkpoint), "--benchmark", benchmark, "--no-cache", "--device", "cpu", "--json"]
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    (record,) = (path for path in (tmp_path / "out").rglob("*.json") if "gan" in str(path))
    trained = json.loads(record.read_text())
    assert again["sampler"] == "gan-seed0"
    assert again["scores"] == trained["scores"]


def test_a_classifier_is_trained_and_measured_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.npz"
    rows = np.random.default_rng(0).standard_normal((900, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 300, axis=0)
    np.savez(tmp_path / "data.npz", samples=rows, labels=np.repeat([0, 1, 2], 300))
    data = ["--set", f"data.path={tmp_path / 'data.npz'}", "--set", "data.held_out=0.5", "--set", "data.label=labels"]
    assert main(["train-extractor", "array", "--out", str(out), "--steps", "200", *data]) == 0
    said = capsys.readouterr().out
    assert "of held-out samples get their class" in said
    dataset = genbench.load_dataset("array", path=str(tmp_path / "data.npz"), held_out=0.5, label="labels")
    np.save(tmp_path / "train.npy", dataset.train)
    np.save(tmp_path / "test.npy", dataset.test)
    command = ["score", str(tmp_path / "test.npy"), "--reference", str(tmp_path / "train.npy"), "--no-cache", "--json"]
    weights = ["--set", f"extractors.classifier.weights={out}"]
    assert main([*command, *weights, "--metric", "is@classifier.logits", "--metric", "fd@classifier.pool"]) == 0
    found = {s["metric"]: s["estimate"]["value"] for s in json.loads(capsys.readouterr().out)["scores"]}
    assert 2.5 < found["is"] <= 3
    assert main(["train-extractor", "swissroll", "--out", str(out)]) == 2
    assert "labels" in capsys.readouterr().err
    assert main(["train-extractor", "digits", "--out", str(out), "--set", "extractors.pca.dims=3"]) == 2
