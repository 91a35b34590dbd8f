"""Scoring along a training: the training does not notice, and the history says what is better beyond noise."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genbench.callbacks import Evaluator
from genbench.callbacks.history import History
from genbench.callbacks.undisturbed import modules_of
from genbench.errors import ProtocolError, SampleError, UsageError
from genbench.records import Run
from genbench.spaces import Spaces
from genbench.store import read_record
from tests.makers import make_benchmark, make_estimate, make_run, make_score

REAL = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)


class Net(nn.Module):
    """A generator whose eval mode matters: batch statistics and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class Shift(nn.Module):
    """Standard normal points, moved."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor([by, 0.0]))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.by


def evaluator(**changes: Any) -> Evaluator:
    """One that scores every two steps."""
    return Evaluator(REAL, **{"metrics": ["fd"], "every": 2, "n": 200, "latent": "4", "device": "cpu", **changes})


def trained(look: Callable[[int, Net], object]) -> tuple[Net, list[object]]:
    """Train a few steps with every kind of randomness; return the model and what all generators would give next."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(1, 8):
        scale = 1 + random.random() + np.random.rand()  # noqa: NPY002
        optimizer.zero_grad()
        (net(torch.randn(32, 4)) * scale).square().mean().backward()
        optimizer.step()
        look(step, net)
    return net, [torch.rand(3).tolist(), random.random(), np.random.rand()]  # noqa: NPY002


def noisy_draw(net: Net) -> Callable[..., Tensor]:
    """A function that uses every global generator."""

    def draw(n: int, *, seed: int) -> Tensor:
        random.random()
        np.random.rand()  # noqa: NPY002
        return net(torch.randn(n, 4))

    return draw


@pytest.mark.parametrize("form", ["module", "function", "created inside"])
def test_a_training_goes_on_bit_for_bit_as_if_nobody_had_looked(form: str) -> None:
    made = evaluator(latent="4" if form != "function" else None)

    def look(step: int, net: Net) -> None:
        watch = evaluator() if form == "created inside" else made
        watch(step, noisy_draw(net) if form == "function" else net)
        assert all(part.training for part in net.modules())
        assert all(p.grad is not None for p in net.parameters())

    alone, after_alone = trained(lambda step, net: None)
    watched, after_watched = trained(look)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name
    assert after_alone == after_watched
    if form != "created inside":
        assert [run.step for run in made.history] == [2, 4, 6]


def test_each_part_gets_its_own_mode_back() -> None:
    net = Net()
    net.layers[1].eval()  # a frozen normalization
    evaluator()(2, net)
    assert [part.training for part in net.layers] == [True, False, True, True, True]


def test_samples_are_drawn_in_eval_mode_whatever_the_form() -> None:
    net, held = Net(), []

    def draw(n: int, *, seed: int) -> Tensor:
        held.append(net.training)
        return net(torch.randn(n, 4))

    class Holder:
        def __init__(self) -> None:
            self.net = net

        def sample(self, n: int, *, seed: int) -> Tensor:
            return draw(n, seed=seed)

    for step, form in enumerate((draw, Holder(), Holder().sample), start=1):
        evaluator(every=1, latent=None)(step, form)
    assert held
    assert not any(held)


def test_networks_are_found_where_a_generator_names_them() -> None:
    from functools import partial

    net, other = Net(), Net()

    def draw(net: Net, n: int, *, seed: int) -> Tensor:
        return net(torch.randn(n, 4))

    class Pair:
        def __init__(self) -> None:
            self.whole, self.part, self.other = net, net.layers, other

    assert modules_of(net) == [net]
    assert modules_of(partial(draw, net)) == [net]
    assert modules_of(Pair()) == [net, other]
    assert modules_of(lambda n, seed: other(torch.randn(n, 4))) == [other]
    assert modules_of(np.zeros(3)) == []


def test_the_turn_comes_where_a_multiple_is_reached_or_passed() -> None:
    watch = evaluator(every=10)
    steps = [0, 5, 9, 10, 11, 19, 25, 26, 30, 61, 62]
    assert [step for step in steps if watch(step, Net()) is not None] == [10, 25, 30, 61]
    assert watch(63, Net(), final=True).final


def test_features_of_real_data_are_extracted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, see = [], Spaces.see_split

    def counted(spaces: Spaces, *args: Any) -> Any:
        seen.append(args[0])
        return see(spaces, *args)

    monkeypatch.setattr(Spaces, "see_split", counted)
    watch = evaluator(every=1, metrics=["fd", "precision"])
    for step in range(1, 4):
        watch(step, Net())
    assert seen == ["reference"]


def test_every_score_says_its_step_and_the_same_model_scores_the_same() -> None:
    watch = evaluator(every=1, held_out=REAL[:250] + 0.1)
    net = Net()
    one, two = watch(1, net), watch(2, net)
    assert one.scores == two.scores
    assert {score.split for score in one.scores} == {"train", "test"}
    assert watch.history.to_frame()["step"].tolist() == [1, 1, 2, 2]


def test_averaged_weights_are_drawn_from_and_the_own_ones_come_back() -> None:
    net, average = Shift(9.0), Shift(0.0)
    averaged = torch.optim.swa_utils.AveragedModel(average)
    watch = evaluator(every=1, latent="2")
    plain = watch(1, net).score("fd").estimate.value
    forms: list[Any] = [average, averaged, average.state_dict(), {"by": average.by}]
    with_average = [watch(step, net, ema=form).score("fd").estimate.value for step, form in enumerate(forms, start=2)]
    assert len(set(with_average)) == 1
    assert with_average[0] < 1 < plain
    assert net.by.tolist() == [9.0, 0.0]
    with pytest.raises(UsageError, match="averaged weights of Shift expected"):
        watch(9, net, ema={"to": torch.zeros(2)})
    with pytest.raises(UsageError, match="those of one module, got 0"):
        watch(10, lambda n, seed: torch.randn(n, 2), ema={"by": torch.zeros(2)})


def history(values: list[float], **changes: Any) -> History:
    """Records whose scores have one noise, drawn apart for each of them: 0.01 a replicate, 0.04 the standard error."""
    found = History("fd@digits-cnn.pool")
    for step, value in enumerate(values, start=1):
        noise = np.random.default_rng(step).normal(0, 0.01, 20)
        estimate = make_estimate(value + 0.25, replicates=tuple((value + noise).tolist()))
        found.add(make_run(step=step, scores=(make_score(estimate=estimate, **changes),)))
    return found


def test_the_best_is_replaced_by_what_beats_it_beyond_noise_alone() -> None:
    """The standard error of a difference is sqrt(19/20 * 19 * 2) * 0.01 = 0.06: 0.09 is 1.5 of it, 0.5 is eight."""
    assert history([2.0, 1.98, 1.99]).best.step == 1
    assert history([2.0, 1.5, 1.49, 1.9]).best.step == 2
    assert history([2.0, 1.97, 1.94, 1.91, 1.5]).best.step == 5
    assert history([2.0, 2.5, 2.51], better="higher").best.step == 2


def test_what_failed_is_never_the_best() -> None:
    found = history([2.0, 1.0])
    found.add(make_run(step=3, scores=(), failure="diverged"))
    found.add(make_run(step=4, scores=(make_score(estimate=None),)))
    assert found.best.step == 2
    assert History("fd@digits-cnn.pool").best is None
    html = found._repr_html_()
    assert html.index("diverged") < html.index("the solver gave up")
    assert "best at step 2" in repr(found)
    assert str(found).count("failed") == 2


def test_a_training_that_is_taken_back_replaces_its_records() -> None:
    found = history([3.0, 2.0, 1.0])
    found.add(make_run(step=2))
    assert [run.step for run in found] == [1, 2]


def test_samples_that_cannot_be_scored_are_a_record_and_one_warning() -> None:
    watch, net = evaluator(every=1, metrics=["fd", "kd"]), Net()
    assert watch(1, net).failure is None
    with torch.no_grad():
        net.layers[4].bias.fill_(torch.nan)
    with pytest.warns(RuntimeWarning, match=r"model at step 2: samples failed: model: 256 of 256 samples are not f"):
        run = watch(2, net)
    assert run.scores == ()
    assert run.failure == "model: 256 of 256 samples are not finite; a score over them would be meaningless."
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert watch(3, net).failure is not None


def test_a_metric_that_cannot_be_computed_fails_alone() -> None:
    watch = evaluator(every=1, n=3, metrics=["fd", "precision"])
    with pytest.warns(RuntimeWarning, match="precision@identity.pool failed"):
        run = watch(1, Net())
    assert [score.metric for score in run.scores if score.failure is None] == ["fd"]
    assert run.failure is None


def test_memory_that_runs_out_ends_no_training() -> None:
    class Full(Net):
        def forward(self, z: Tensor) -> Tensor:
            raise torch.OutOfMemoryError("tried to allocate 20 GiB")

    with pytest.warns(RuntimeWarning, match="tried to allocate 20 GiB"):
        assert "tried to allocate" in evaluator()(2, Full()).failure


def test_wrong_usage_is_an_error_at_once() -> None:
    for wrong in ({"every": 0}, {"n": 1}, {"benchmark": "digits"}, {"name": "a/b"}):
        with pytest.raises(UsageError):
            evaluator(**wrong)
    with pytest.raises(UsageError, match="a reference or a benchmark expected"):
        Evaluator()
    with pytest.raises(UsageError, match="n of at most 100"):
        evaluator(held_out=REAL[:100])
    with pytest.raises(SampleError):
        Evaluator(np.full((50, 2), np.nan))
    with pytest.raises(UsageError, match="latents"):
        evaluator(latent=None)(2, Net())


def test_images_of_a_network_are_scored_against_real_ones_of_another_range() -> None:
    class Images(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return torch.tanh(z).reshape(-1, 1, 4, 4)

    pixels = np.random.default_rng(0).integers(0, 256, (120, 1, 4, 4), dtype=np.uint8)
    floats = pixels.astype(np.float32) / 127.5 - 1
    places = {"metrics": ["fd@identity.pool"], "every": 1, "latent": "16", "value_range": (-1, 1), "device": "cpu"}
    runs = [Evaluator(real, **places)(1, Images()) for real in (pixels, floats)]
    assert runs[0].scores == runs[1].scores


def test_a_benchmark_is_scored_by_its_curve_and_in_the_end_by_everything(tmp_path: Path) -> None:
    benchmark = make_benchmark(n=64)
    watch = Evaluator(benchmark=benchmark, every=1, latent="2", out=tmp_path, name="mine", device="cpu")
    early, end = watch(1, Shift(0.0)), watch(2, Shift(0.0), final=True)
    assert {score.key for score in early.scores} == {"fd@identity.pool"}
    assert {score.metric for score in end.scores} == {"fd", "coverage", "modes_share"}
    more = Evaluator(benchmark=benchmark, every=1, latent="2", metrics=["kd"], device="cpu")(1, Shift(0.0))
    assert {score.metric for score in more.scores} == {"fd", "kd"}


def test_records_are_written_where_the_other_commands_find_them(tmp_path: Path) -> None:
    from genbench.comparison import compare

    watch = evaluator(every=1, out=tmp_path, name="mine", train_seed=4)
    watch(1, Net())
    watch(2, Net(), final=True)
    folder = tmp_path / "reference@1" / "records" / "mine"
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["seed4-step0000001.json", "seed4-step0000002.json"]
    assert [read_record(file) for file in files] == list(watch.history)
    assert compare(str(files[0]), str(files[1])).table["metric"].tolist() == ["fd@identity.pool"]
    with pytest.raises(ProtocolError, match="another protocol"):
        evaluator(metrics=["kd"], out=tmp_path)


def test_a_full_disk_ends_no_training(tmp_path: Path) -> None:
    watch = evaluator(every=1, out=tmp_path)
    (tmp_path / "reference@1" / "records").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="cannot write"):
        assert watch(1, Net()).failure is None


def test_the_history_goes_into_a_checkpoint_and_comes_back() -> None:
    watch = evaluator()
    for step in (1, 2, 3, 4, 5):
        watch(step, Net())
    state = json.loads(json.dumps(watch.state_dict()))
    fresh = evaluator()
    fresh.load_state_dict(state)
    assert list(fresh.history) == list(watch.history)
    assert fresh(5, Net()) is None
    assert fresh(6, Net()).step == 6
    assert "every 2 steps: <History of fd@identity.pool: 3 records; best at step" in repr(fresh)


def values(run: Run) -> dict[str, float]:
    """The scores of a run by key."""
    return {s.key: s.estimate.value for s in run.scores if s.estimate is not None}


def test_a_callback_scores_as_score_does() -> None:
    from genbench.scoring import score

    net = Net().eval()
    watched = evaluator(metrics=["fd", "precision"], every=1)(1, net)
    direct = score(net, reference=REAL, metrics=["fd", "precision"], n=200, latent="4", device="cpu", name="model")
    assert values(watched) == values(direct)
    assert replace(watched, **{n: getattr(direct, n) for n in ("train_seed", "step", "final", "seconds")}) == direct
