"""Controls: what each gives, and that the instrument tells them apart as it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from genbench.benchmarks import load_benchmark
from genbench.controls import LEVELS, WIDEST, Gaussian, make_controls, near_copies
from genbench.data.digits import digits
from genbench.data.toy import ring8
from genbench.definitions import Dataset, Mixture, Split
from genbench.evaluate import Evaluator
from genbench.metrics.copying import lower_tail_copies
from genbench.records import Run
from genbench.run import run_benchmark
from genbench.sampling.blocks import draw_samples
from genbench.sampling.files import ArraySampler
from genbench.spaces import Keep
from genbench.tables import CONTROLS, controls_of, generalization, memorization


def in_order(data: Dataset):
    """Rows of a split from the first on."""

    def order(split: Split) -> NDArray[np.int64]:
        return np.arange(len(data.split(split)))

    return order


def points(train: int, test: int, *, d: int = 2) -> Dataset:
    """Standard normal points."""
    rows = np.random.default_rng(0).standard_normal((train + test, d)).astype(np.float32)
    return Dataset(name="points", train=rows[:train], test=rows[train:])


def rows_of(samples: torch.Tensor) -> set[bytes]:
    """Samples as their bytes."""
    return {row.numpy().tobytes() for row in samples}


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", ["digits", "ring8"])
def test_real_samples_are_in_neither_reference_and_replayed_ones_are_the_training_reference(
    name: str, quick: bool
) -> None:
    benchmark = load_benchmark(name, quick=quick)
    data = ring8() if name == "ring8" else digits()
    spaces = Evaluator(benchmark, device="cpu").spaces
    n = benchmark.n
    made = make_controls(data, n=n, order=lambda split: spaces.real_rows(split, len(data.split(split))))
    reference = {s: torch.from_numpy(data.split(s)[spaces.real_rows(s, n)]) for s in ("train", "test")}
    drawn = {
        control: draw_samples(made[control].sampler, n, seed=3, event_shape=data.event_shape)
        for control in ("real", "replay")
    }
    assert rows_of(drawn["replay"]) == rows_of(reference["train"])
    both = rows_of(reference["train"]) | rows_of(reference["test"])
    everything = rows_of(torch.from_numpy(np.concatenate([data.train, data.test])))
    assert rows_of(drawn["real"]) <= everything - both
    assert len(drawn["real"]) == n


def test_real_samples_are_held_out_ones_as_far_as_they_go() -> None:
    data = points(50, 25)
    order = in_order(data)
    real = make_controls(data, n=10, order=order)["real"].sampler
    assert rows_of(real.sample(10, seed=0)) == rows_of(torch.from_numpy(data.test[10:20]))
    real = make_controls(data, n=20, order=order)["real"].sampler
    assert rows_of(real.sample(20, seed=0)) == rows_of(torch.from_numpy(np.r_[data.test[20:], data.train[20:35]]))


def test_data_that_are_all_compared_with_have_no_real_control() -> None:
    data = points(20, 20)
    assert list(make_controls(data, n=20, order=in_order(data))) == ["gaussian", "replay-noise", "replay"]


def test_known_densities_have_the_truth_and_the_order_is_that_of_the_tables() -> None:
    data = ring8()
    made = make_controls(data, n=100, order=in_order(data))
    assert tuple(made) == CONTROLS
    assert all(control.sampler.name == name for name, control in made.items())
    assert data.mixture is not None
    drawn = made["truth"].sampler.sample(500, seed=0).numpy()
    distances = np.linalg.norm(drawn[:, None] - data.mixture.centres, axis=2)
    assert distances.min(axis=1).max() < 6 * data.mixture.std  # a 6-sigma point of 500: p < 1e-5


@pytest.mark.parametrize("data", [digits(), ring8()], ids=lambda data: data.name)
def test_the_draws_are_deterministic_and_of_the_datas_kind(data: Dataset) -> None:
    one, other = (make_controls(data, n=300, order=in_order(data)) for _ in range(2))
    for name in one:
        drawn = [draw_samples(c[name].sampler, 300, seed=1, event_shape=data.event_shape) for c in (one, other)]
        assert torch.equal(*drawn)
        assert drawn[0].numpy().dtype == data.train.dtype


def test_noise_on_images_is_of_a_few_levels_and_stays_in_range() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8), dtype=np.uint8)
    noisy, said = near_copies(images, seed=0)
    difference = noisy.astype(int) - images
    assert (np.abs(difference).max(), said) == (LEVELS, "up to 8 levels")
    assert len(np.unique(difference)) == 2 * LEVELS + 1
    black, _ = near_copies(np.zeros((10, 1, 8, 8), np.uint8), seed=0)
    assert black.max() == LEVELS


def test_noise_on_vectors_is_a_twentieth_of_the_deviation_or_less_than_half_way_to_the_next() -> None:
    """Twice a spacing of 1 in one dimension: the noise is 1/2, however wide the data are."""
    wide = np.random.default_rng(0).standard_normal((100, 64)).astype(np.float32)
    assert (near_copies(wide, seed=0)[0] - wide).std() == pytest.approx(0.05 * wide.std(), rel=0.05)
    line = np.arange(1000, dtype=np.float32)[:, None]
    assert (near_copies(line, seed=0)[0] - line).std() == pytest.approx(0.5, rel=0.1)


def test_vectors_that_are_all_alike_are_replayed_as_they_are() -> None:
    same = np.ones((10, 3), np.float32)
    assert np.array_equal(near_copies(same, seed=0)[0], same)


def test_a_gaussian_has_the_moments_of_the_training_set() -> None:
    """Of 40,000 draws: means lie within 5 sd / 200, covariances within 5 sqrt(2 / 40,000) products of deviations."""
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((500, 3)) @ rng.standard_normal((3, 3)) + [1, 2, 3]).astype(np.float32)
    drawn = Gaussian(rows).draw(40_000, np.random.default_rng(1))
    scale = rows.std(axis=0)
    assert (np.abs(drawn.mean(axis=0) - rows.mean(axis=0)) < 5 * scale / 200).all()
    assert (np.abs(np.cov(drawn.T) - np.cov(rows.T)) < 5 * np.sqrt(2 / 40_000) * np.outer(scale, scale)).all()


def test_a_gaussian_of_wide_events_has_their_covariance_without_forming_it() -> None:
    """Along the data's own direction the variance is theirs; across all of them it is zero."""
    rng = np.random.default_rng(0)
    direction = rng.standard_normal(WIDEST + 1)
    rows = rng.standard_normal((200, 1)) * direction
    drawn = Gaussian(rows.astype(np.float32)).draw(400, np.random.default_rng(1))
    along = drawn @ direction / (direction @ direction)
    assert along.std() == pytest.approx((rows @ direction / (direction @ direction)).std(), rel=0.2)
    across = drawn - along[:, None] * direction
    assert np.abs(across).max() < 1e-3 * np.abs(drawn).max()


def test_constant_pixels_stay_constant() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8), dtype=np.uint8)
    images[:, :, 0] = 7
    made = make_controls(
        Dataset(name="pixels", train=images[:30], test=images[30:]), n=15, order=lambda split: np.arange(20)
    )
    assert (made["gaussian"].sampler.sample(100, seed=0)[:, :, 0] == 7).all()


@pytest.fixture(scope="module", params=["digits", "ring8"])
def records(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """The controls of a shipped benchmark, in its quick form, with what decides about memorization and one gap."""
    benchmark = load_benchmark(request.param, quick=True)
    kept = ("label_test", "fd", "w2")
    metrics = tuple(spec for spec in benchmark.metrics if spec.metric in kept)
    benchmark = replace(benchmark, baselines={}, metrics=metrics, primary=metrics[0].key, curve=())
    out: Path = tmp_path_factory.mktemp("controls")
    return run_benchmark(benchmark, out=out, device="cpu")


def test_replays_are_found_and_nothing_else_is(records: list[Run]) -> None:
    """Without copying, p is uniform: in 3 of 1,000 cases of other seeds one of the 2 or 3 others is below 1e-3."""
    for run in controls_of(records):
        (found,) = (s.estimate for s in run.scores if s.metric == "label_test" and s.estimate)
        flagged = found.extra["p_value"] < 1e-3
        assert flagged == run.sampler.startswith("replay"), run.sampler


def test_controls_are_in_the_generalization_table_and_a_replay_has_a_gap(records: list[Run]) -> None:
    table = generalization(records)
    for metric, part in table.groupby("metric"):
        rows = part.set_index("model")
        assert list(rows.index) == [run.sampler for run in controls_of(records)]
        if str(metric).startswith("fd"):  # w2 takes a part of both sets, and not the same rows
            assert rows.loc["replay", "train"] == pytest.approx(0, abs=1e-6)
            assert rows.loc["replay", "gap"] > 0
            assert rows.loc["real", "low"] < 0 < rows.loc["real", "high"]


def verdict(benchmark: str, samples: NDArray[Any]) -> tuple[str, float, float]:
    """The verdict on samples, its p-value, and that of a score which narrowness fools."""
    whole = load_benchmark(benchmark)
    (spec,) = (s for s in whole.metrics if s.metric == "label_test")
    ready = Evaluator(replace(whole, metrics=(spec,), curve=(), primary=spec.key), device="cpu")
    seen = ready.see(torch.from_numpy(samples))
    run = ready.record("mine", ready.score_seen(seen, [spec], seed=0), seconds=0.0)
    (row,) = memorization([run]).to_dict("records")
    space = spec.extractor, spec.layer
    train, test = (ready.spaces.real(space, "train", Keep(whole.n)), ready.spaces.real(space, "test", Keep(whole.n)))
    fooled = lower_tail_copies(generated=seen[space], train=train, test=test)
    return row["verdict"], row["p_value"], fooled.extra["p_value"]


def fresh_digits() -> NDArray[Any]:
    """The 599 real digits that the benchmark compares nothing with."""
    data, spaces = digits(), Evaluator(load_benchmark("digits"), device="cpu").spaces
    order = lambda split: spaces.real_rows(split, len(data.split(split)))  # noqa: E731
    sampler = make_controls(data, n=599, order=order)["real"].sampler
    assert isinstance(sampler, ArraySampler)
    return np.asarray(sampler.rows(np.arange(599)))


def test_fresh_digits_drawn_towards_their_mean_are_cleared() -> None:
    """A generator that is merely narrow: p is uniform, so that a verdict at 1% is wrong for 1 of 100 sets of digits."""
    images = fresh_digits().astype(np.float64)
    narrow = images.mean(axis=0) + 0.7 * (images - images.mean(axis=0))
    found, p_value, _ = verdict("digits", np.rint(narrow).astype(np.uint8))
    assert (found, p_value > 0.01) == ("no evidence", True)


def test_modes_of_seven_tenths_of_the_deviation_are_cleared_though_they_look_copied() -> None:
    """The closest 2% of all samples hold more generated ones than chance gives; the label test is not fooled."""
    mixture = ring8().mixture
    assert mixture is not None
    narrow = Mixture(centres=mixture.centres, std=0.7 * mixture.std).sample(2500, np.random.default_rng(0))
    found, p_value, p_described = verdict("ring8", narrow.astype(np.float32))
    assert (found, p_value > 0.01) == ("no evidence", True)
    assert p_described < 0.05


def test_the_table_accuses_replays_and_nobody_else(records: list[Run]) -> None:
    """Chance of a false alarm: 1% a table, of which there are two."""
    table = memorization(records).set_index("model")
    accused = set(table.index[table["verdict"] == "memorized"])
    assert accused == {"replay", "replay-noise"}
    assert table["control"].all()
    assert (table.loc[["replay", "replay-noise"], "p_corrected"] < 1e-3).all()
