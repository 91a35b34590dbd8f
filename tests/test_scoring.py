"""The door for a stranger's model: many forms, one score; benchmarks, and references of the user's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import genbench
from genbench.cli import main
from genbench.errors import DeclarationError, SampleError, UsageError
from genbench.metrics.frechet import gaussian_null_bias
from genbench.records import Run
from genbench.spaces import Spaces
from tests.makers import GaussianSampler, make_benchmark

N = 300


def digits(seed: int, n: int = N) -> np.ndarray:
    """Real digits, one channel, 8x8, in an order of their own."""
    train = genbench.load_dataset("digits").train
    return train[np.random.default_rng(seed).permutation(len(train))[:n]]


def write_images(folder: Path, images: np.ndarray) -> Path:
    """One PNG an image, named so that the order of names is the order of rows."""
    folder.mkdir(parents=True)
    for row, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / f"{row:05d}.png")
    return folder


def values(run: Run) -> dict[tuple[str, str | None], float]:
    """Every score by key and split."""
    assert all(score.failure is None for score in run.scores)
    return {(s.key, s.split): s.estimate.value for s in run.scores if s.estimate is not None}


METRICS = ("fd@digits-cnn.pool", "is@digits-cnn.logits", "coverage@identity.pool", "w2@identity.pool")


def test_the_same_images_score_the_same_in_every_form(tmp_path: Path) -> None:
    images = digits(1)
    folder = write_images(tmp_path / "images", images)
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    np.savez(tmp_path / "images.npz", images=images)
    reference = tmp_path / "reference.npy"
    np.save(reference, digits(2, 400))

    class Callable:
        name = "callable"

        def __len__(self) -> int:
            return len(images)

        def rows(self, indices: np.ndarray) -> Tensor:
            return torch.from_numpy(images[indices])

    sources = [folder, tmp_path / "images.zip", tmp_path / "images.npz", Callable()]
    found = [values(genbench.score(s, reference=reference, metrics=METRICS, device="cpu")) for s in sources]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == len(METRICS)


def test_a_lone_reference_is_used_whole_and_named_so(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", digits(2, 400))
    np.save(tmp_path / "mine.npy", digits(1))
    run = genbench.score(tmp_path / "mine.npy", reference=tmp_path / "real.npy", metrics=["fd@identity.pool"])
    (score,) = run.scores
    assert (score.split, score.n_generated, score.n_reference) == ("reference", N, 400)
    assert score.estimate is not None
    assert score.estimate.null is None


def test_held_out_samples_bring_nulls_and_memorization(tmp_path: Path) -> None:
    for name, seed in (("train", 2), ("more", 3)):
        np.save(tmp_path / f"{name}.npy", digits(seed, 400))
    keys = ["fd@identity.pool", "label_test@identity.pool"]
    places = {"reference": tmp_path / "train.npy", "metrics": keys}
    with pytest.raises(DeclarationError, match="needs held-out real samples beside the reference; pass --held-out"):
        genbench.score(tmp_path / "train.npy", **places)
    run = genbench.score(tmp_path / "train.npy", **places, held_out=tmp_path / "more.npy")
    copied = {(s.metric, s.split): s.estimate for s in run.scores}
    assert set(copied) == {("fd", "train"), ("fd", "test"), ("label_test", None)}
    assert copied["fd", "train"].value < 1e-9
    assert copied["fd", "test"].null > 0.1
    assert copied["label_test", None].extra["p_value"] < 1e-6


def test_statistics_stand_for_a_reference(tmp_path: Path) -> None:
    real, mine = GaussianSampler().sample(900, seed=1).numpy(), GaussianSampler().sample(500, seed=2).numpy()
    covariance = np.cov(real.astype(np.float64), rowvar=False)
    np.savez(tmp_path / "stats.npz", mu=real.astype(np.float64).mean(axis=0), sigma=covariance)
    np.save(tmp_path / "real.npy", real)
    np.save(tmp_path / "mine.npy", mine)
    with pytest.raises(UsageError, match=r"holds mu and sigma, but not of how many samples; pass --reference-n"):
        genbench.score(tmp_path / "mine.npy", reference=tmp_path / "stats.npz")
    run = genbench.score(tmp_path / "mine.npy", reference=tmp_path / "stats.npz", reference_n=900)
    whole = genbench.score(tmp_path / "mine.npy", reference=tmp_path / "real.npy", metrics=["fd"])
    (score,), (direct,) = run.scores, whole.scores
    assert score.key == direct.key == "fd@identity.pool"
    assert score.estimate.value == pytest.approx(direct.estimate.value, rel=1e-9)
    assert score.estimate.null == gaussian_null_bias(covariance, 500, 900)
    assert (score.n_generated, score.n_reference) == (500, 900)
    for metric, said in (("kd", "needs real samples, got their mean and covariance"), ("fd@pca.pool", "vectors|train")):
        with pytest.raises(genbench.GenbenchError, match=said):
            genbench.score(tmp_path / "mine.npy", reference=tmp_path / "stats.npz", reference_n=900, metrics=[metric])


def test_features_of_a_space_are_scored_as_the_samples_they_came_from(tmp_path: Path) -> None:
    """Features are handed on in float32, relative 6e-8; a Fréchet distance of 1 to 10 moves by less than 1e-5 of it."""
    evaluator = genbench.Evaluator(genbench.load_benchmark("digits"), device="cpu")
    images = torch.from_numpy(digits(1, 599))
    pool = evaluator.spaces.extractors["digits-cnn"].extract(images)["pool"]
    np.save(tmp_path / "features.npy", pool.numpy())
    run = genbench.score(tmp_path / "features.npy", "digits", features="digits-cnn.pool", device="cpu")
    assert {f"{s.space}" for s in run.scores} == {"digits-cnn.pool"}
    direct = evaluator.score(images, seed=0, only=["fd@digits-cnn.pool"])
    found = values(run)
    for score in direct:
        assert score.estimate is not None
        assert found[score.key, score.split] == pytest.approx(score.estimate.value, rel=1e-5)
    np.save(tmp_path / "few.npy", pool[:500].numpy())
    with pytest.raises(SampleError, match="few: 599 samples expected, got 500"):
        genbench.score(tmp_path / "few.npy", "digits", features="digits-cnn.pool", device="cpu")
    with pytest.raises(UsageError, match=r"a space of digits@1 expected .* got 'digits-cnn.logit'"):
        genbench.score(tmp_path / "features.npy", "digits", features="digits-cnn.logit")


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_changes_no_score(batch_size: int, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", digits(1, 100))
    keys = ["fd@digits-cnn.pool", "is@digits-cnn.logits", "fd@pca.pool"]
    np.save(tmp_path / "real.npy", digits(2, 200))
    places = {"reference": tmp_path / "real.npy", "metrics": keys, "extractors": {"pca": {"dims": 16}}}
    whole = values(genbench.score(tmp_path / "mine.npy", **places))
    assert values(genbench.score(tmp_path / "mine.npy", **places, batch_size=batch_size)) == pytest.approx(
        whole, rel=1e-6
    )


def test_sums_alone_are_kept_where_they_serve_every_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seed in (("mine", 1), ("real", 2)):
        np.save(tmp_path / f"{name}.npy", GaussianSampler().sample(900, seed=seed).numpy())
    kept: list[type] = []
    see = Spaces.see

    def watched(spaces: Spaces, *args: object) -> dict:
        found = see(spaces, *args)  # type: ignore[arg-type]
        kept.extend(type(seen) for seen in found.values())
        return found

    monkeypatch.setattr(Spaces, "see", watched)
    places = {"reference": tmp_path / "real.npy", "metrics": ["fd@identity.pool"]}
    held = genbench.score(tmp_path / "mine.npy", **places)
    assert {kind.__name__ for kind in kept} == {"Features"}
    kept.clear()
    monkeypatch.setattr("genbench.inputs.HELD", 1000)
    streamed = genbench.score(tmp_path / "mine.npy", **places)
    assert {kind.__name__ for kind in kept} == {"MomentSums"}
    assert streamed.scores == held.scores  # to the last bit
    kept.clear()
    genbench.score(
        tmp_path / "mine.npy", reference=tmp_path / "real.npy", metrics=["fd@identity.pool", "kd@identity.pool"]
    )
    assert {kind.__name__ for kind in kept} == {"Features"}


def test_reserved_names_are_kept_for_their_space(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", digits(1))
    with pytest.raises(DeclarationError, match=r"fid is the name of the score in inception-v3.pool alone; .* fd@"):
        genbench.score(tmp_path / "mine.npy", reference=tmp_path / "mine.npy", metrics=["fid@digits-cnn.pool"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "a benchmark or a reference expected"),
        ({"benchmark": "digits", "reference": "x"}, "a benchmark or a reference expected"),
        ({"benchmark": "digits", "n": 5}, "a benchmark has its own n"),
        ({"reference": "nowhere"}, "got 'nowhere'; check the path"),
        ({"reference": "real.npy", "features": "a.b"}, "are for benchmarks"),
    ],
)
def test_what_has_no_meaning_is_refused(
    wrong: dict, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("real.npy", digits(1))
    with pytest.raises(UsageError, match=said):
        genbench.score("real.npy", **wrong)


def test_unlike_shapes_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", digits(1))
    np.save(tmp_path / "large.npy", np.zeros((50, 1, 9, 9), dtype=np.uint8))
    with pytest.raises(SampleError):
        genbench.score(tmp_path / "small.npy", reference=tmp_path / "large.npy")


class Conditional:
    """Real digits of the class that is asked for; zeros are always drawn as ones."""

    name, classes = "conditional", 10

    def __init__(self) -> None:
        self.asked: list[Tensor] = []

    def sample(self, n: int, *, seed: int, labels: Tensor) -> Tensor:
        self.asked.append(labels)
        data = genbench.load_dataset("digits")
        rng = np.random.default_rng(seed)
        rows = [rng.choice(np.flatnonzero(data.train_labels == max(1, int(label)))) for label in labels]
        return torch.from_numpy(data.train[rows])


def test_a_conditional_generator_is_scored_class_by_class() -> None:
    model = Conditional()
    run = genbench.score(model, "digits", device="cpu")
    labels = torch.cat(model.asked)[:599]
    found = {s.label: s for s in run.by_class if s.metric == "coverage"}
    assert set(found) == set(range(10))
    for label, score in found.items():
        assert score.split == "test"
        assert score.n_generated == int((labels == label).sum())
        assert score.n_reference == int((genbench.load_dataset("digits").test_labels == label).sum())
        assert score.estimate is not None
        assert (score.estimate.value < 0.1) == (label == 0)
    assert Run.from_json(run.to_json()) == run
    unconditional = GaussianSampler()
    unconditional.classes = None  # says so, in place of not having the attribute
    assert not genbench.score(unconditional, make_benchmark(), device="cpu").by_class
    assert not genbench.score(GaussianSampler(), make_benchmark(), device="cpu").by_class


def test_the_command_line_scores_against_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write_images(tmp_path / "real", digits(2, 400))
    mine = write_images(tmp_path / "mine", digits(1))
    command = ["score", str(mine), "--reference", str(real), "--set", "extractors.pca.dims=16", "--quiet"]
    assert main([*command, "--metric", "fd", "--metric", "coverage"]) == 0
    out = capsys.readouterr().out
    assert "mine on " in out
    assert "fd@pca.pool" in out
    assert "coverage@pca.pool" in out
    assert "reference" in out
    assert main([*command, "--metric", "covrage"]) == 2
    assert "Did you mean 'coverage'" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert main(["score", str(mine)]) == 2
    assert "pass one of --benchmark and --reference" in capsys.readouterr().err
    assert main([*command, "--set", "extractors.pca=3"]) == 2
    assert "extractors.NAME.OPTION=VALUE expected" in capsys.readouterr().err
    assert main([*command, "--set", "extractors.pcq.dims=3"]) == 2


def test_limits_are_set_and_said_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write_images(tmp_path / "mine", digits(1, 60))
    command = ["score", str(mine), "--reference", str(mine), "--metric", "fd@identity.pool", "--no-cache"]
    assert main([*command, "--limit", "members=60"]) == 0
    assert main([*command, "--limit", "members=59"]) == 3
    assert "at most 59 members are read, got 60" in capsys.readouterr().err
    assert main([*command, "--limit", "member=59"]) == 2
    assert "Did you mean 'members'" in capsys.readouterr().err


def test_statistics_that_lie_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", GaussianSampler().sample(60, seed=2).numpy())
    for wrong, said in (
        ({"n": np.zeros(5000)}, "one number expected"),
        ({"n": 100, "sigma": np.eye(3)}, "shapes"),
        ({"n": 100, "sigma": np.array([[1.0, 2.0], [0.0, 1.0]])}, "symmetric"),
        ({"n": 1}, "at least 2 samples"),
    ):
        np.savez(tmp_path / "stats.npz", **{"mu": np.zeros(2), "sigma": np.eye(2), **wrong})
        with pytest.raises(SampleError, match=said):
            genbench.score(tmp_path / "mine.npy", reference=tmp_path / "stats.npz")
