"""FID, KID, Inception Score, precision and recall from the command line, against torch-fidelity on the same folders.

The weights are random ones of the right shapes, declared to be the published ones for the time of the test, since the
published file cannot come with genbench. The images are few and the sets far apart, so that scores keep 1e-5: features
are float32 and differ from torch-fidelity's by 5e-7 of a row's length, which the kernel's cube takes times 6, and the
Inception Score times the size of a logit.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from genbench.cli import main
from genbench.extractors.fidelity import FidelityExtractor
from genbench.extractors.fidelity_catalogue import NETWORKS
from tests.extractors.conftest import inception_file as inception_file
from tests.extractors.networks import WeightsFile, pictures

N = 12


def write(folder: Path, images: Tensor) -> Path:
    """One PNG an image."""
    folder.mkdir()
    for row, image in enumerate(images):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{row:03d}.png")
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A sixth of the reference is as the generated images are, light, and the rest is nearly middle grey."""
    place = tmp_path_factory.mktemp("folders")
    generated = pictures(N, seed=1, contrast=0.5, grey=200)
    like = pictures(N // 6, seed=2, contrast=0.5, grey=200)
    reference = torch.cat([like, pictures(N - N // 6, seed=3, contrast=0.1)])
    return write(place / "generated", generated), write(place / "reference", reference)


@pytest.fixture
def published(inception_file: WeightsFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder with a file that passes for the published one."""
    known = NETWORKS["inception-v3"].published
    digest = known.sha256
    shutil.copy(inception_file.path, tmp_path / known.file)
    monkeypatch.setenv("GENBENCH_WEIGHTS", str(tmp_path))
    object.__setattr__(known, "sha256", inception_file.sha256)
    yield tmp_path
    object.__setattr__(known, "sha256", digest)


def scores(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, float]:
    """Run the command and read its JSON."""
    metrics = ("fid", "kid", "is", "precision", "recall")
    command = ["score", str(folders[0]), "--reference", str(folders[1]), "--extractor", "inception-v3"]
    assert main([*command, *(f"--metric={name}" for name in metrics), "--no-cache", "--json", *more]) == 0
    found = json.loads(capsys.readouterr().out)["scores"]
    return {score["metric"]: score["estimate"]["value"] for score in found}


def test_scores_equal_torch_fidelitys_from_one_pass_over_each_set(
    folders: tuple[Path, Path],
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One split for the Inception Score and one subset of all samples for KID: no splits, and all pairs.

    Besides the images the network sees one blank, from which the extractor learns the widths of its layers.
    """
    import torch_fidelity

    seen: list[int] = []
    forward = FidelityExtractor._forward

    def counted(extractor: FidelityExtractor, images: Tensor) -> Any:
        seen.append(len(images) if images.any() else 0)
        return forward(extractor, images)

    monkeypatch.setattr(FidelityExtractor, "_forward", counted)
    ours = scores(folders, capsys)
    assert sum(seen) == 2 * N
    theirs = torch_fidelity.calculate_metrics(
        input1=str(folders[0]),
        input2=str(folders[1]),
        isc=True,
        fid=True,
        kid=True,
        prc=True,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(published / NETWORKS["inception-v3"].published.file),
        batch_size=1,
        isc_splits=1,
        kid_subsets=1,
        kid_subset_size=N,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    assert ours["fid"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)
    assert ours["kid"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert ours["is"] == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    assert ours["precision"] == theirs["precision"]
    assert ours["recall"] == pytest.approx(theirs["recall"], rel=1e-5)


@pytest.mark.parametrize("batch_size", ["1", "7"])
def test_the_batch_size_moves_no_score(
    batch_size: str, folders: tuple[Path, Path], published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = scores(folders, capsys, "--batch-size", "64")
    assert scores(folders, capsys, "--batch-size", batch_size) == pytest.approx(whole, rel=1e-6)


def test_other_weights_need_their_digest_and_lose_the_name(
    folders: tuple[Path, Path], inception_file: WeightsFile, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["score", str(folders[0]), "--reference", str(folders[1]), "--no-cache"]
    weights = f"extractors.inception-v3.weights={inception_file.path}"
    assert main([*command, "--metric", "fid", "--set", weights]) == 4
    assert inception_file.sha256 in capsys.readouterr().err
    declared = [*command, "--set", weights, "--set", f"extractors.inception-v3.sha256={inception_file.sha256}"]
    assert main([*declared, "--metric", "fid"]) == 2
    said = capsys.readouterr().err
    assert "expects the published weights of inception-v3 in float32 or float64, got others; call the score fd@" in said


def test_missing_weights_name_file_digest_place_and_alternative(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("GENBENCH_WEIGHTS", raising=False)
    assert main(["score", str(folders[0]), "--reference", str(folders[1]), "--metric", "fid"]) == 4
    said = capsys.readouterr().err
    known = NETWORKS["inception-v3"].published
    places = os.path.join(tmp_path, "hub", "checkpoints")
    for part in (known.file, known.sha256, places, "--download", known.url, "digits-cnn", "pca"):
        assert part in said
