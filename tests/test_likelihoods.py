"""Likelihoods of trained models, in the units of the data, against densities that are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from genbench.data.toy import ring8
from genbench.definitions import Dataset, MetricSpec
from genbench.errors import SampleError, UsageError
from genbench.evaluate import Evaluator
from genbench.likelihoods import likelihood_scores, mean_loss
from genbench.training import scaling as scaling_module
from genbench.training.scaling import DensitySampler, ScaledSampler, Scaling, scaled_sampler
from tests.makers import GaussianSampler, make_benchmark

CPU = torch.device("cpu")
GREY = np.random.default_rng(0).integers(0, 256, (30, 1, 4, 4), dtype=np.uint8)


class Normal:
    """Standard normal numbers in model units, of any shape."""

    name = "normal"

    def sample(self, n: int, *, seed: int) -> Tensor:
        return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))

    def log_prob(self, x: Tensor) -> Tensor:
        return (-0.5 * x**2 - 0.5 * math.log(2 * math.pi)).flatten(1).sum(dim=1)


class Uniform:
    """Images of independent uniform values in [-1, 1]: a density, or the mass of so many levels."""

    name = "uniform"

    def __init__(self, levels: int | None = None) -> None:
        if levels is not None:
            self.levels = levels

    def sample(self, n: int, *, seed: int) -> Tensor:
        raise AssertionError("no sample is needed for a likelihood")

    def log_prob(self, x: Tensor) -> Tensor:
        assert x.abs().max() <= 1
        return torch.full((len(x),), -math.prod(x.shape[1:]) * math.log(getattr(self, "levels", 2)))


class Factor:
    """x = w z + s e with the exact posterior, so that its bound is log N(x; 0, w w^T + s^2) itself."""

    name = "factor"
    w, s = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), 0.3

    def sample(self, n: int, *, seed: int) -> Tensor:
        raise AssertionError("no sample is needed for a likelihood")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        precision = 1 + float(self.w @ self.w) / self.s**2
        mean = (x.double() @ self.w / self.s**2 / precision)[:, None]
        return mean, torch.full_like(mean, -math.log(precision))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        off = x.double() - z * self.w
        return (-0.5 * (off / self.s) ** 2 - math.log(self.s) - 0.5 * math.log(2 * math.pi)).sum(dim=1)


class Seeded(Normal):
    """Adds a number to the log density that its seed and its labels decide."""

    classes = 4

    def log_prob(self, x: Tensor, *, seed: int, labels: Tensor) -> Tensor:  # type: ignore[override]
        noise = torch.rand(len(x), generator=torch.Generator().manual_seed(seed % 2**31))
        return super().log_prob(x) + noise + 100 * labels


def vectors(n: int = 50) -> np.ndarray:
    """Points of unlike spread in three dimensions."""
    return (np.random.default_rng(1).standard_normal((n, 3)) * [5, 1, 2]).astype(np.float32)


def density(inner: Any, train: np.ndarray) -> DensitySampler:
    """The model in the units of the data."""
    found = scaled_sampler(inner, Scaling(train), CPU)
    assert isinstance(found, DensitySampler)
    return found


# In the units of the data


def test_a_density_of_vectors_is_that_of_the_data_and_not_of_the_models_units() -> None:
    """float32: 3 terms near 2, rounded by 2**-24 of themselves each."""
    points = vectors()
    found = density(Normal(), points).log_prob(torch.from_numpy(points), seed=0)
    deviation = points.std(dtype=np.float64)
    expected = stats.norm.logpdf(points.astype(np.float64), scale=deviation).sum(axis=1)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5)


def test_the_mass_of_an_image_is_the_models_and_a_density_is_spread_over_255_units() -> None:
    images = torch.from_numpy(GREY)
    assert density(Uniform(17), GREY).log_prob(images, seed=0).tolist() == pytest.approx([-16 * math.log(17)] * 30)
    assert density(Uniform(), GREY).log_prob(images, seed=0).tolist() == pytest.approx([-16 * math.log(255)] * 30)


def test_a_latent_variable_model_has_the_importance_weighted_bound_in_the_units_of_the_data() -> None:
    points = vectors()
    sampler = density(Factor(), points)
    deviation = points.std(dtype=np.float64)
    covariance = np.outer(Factor.w, Factor.w) + Factor.s**2 * np.eye(3)
    expected = stats.multivariate_normal(cov=deviation**2 * covariance).logpdf(points)
    assert (sampler.bound, sampler.levels) == (True, None)
    # The events are float32: off by 2**-24 of 10, over s = .3 and times quotients up to 20 or so.
    np.testing.assert_allclose(sampler.log_prob(torch.from_numpy(points), seed=0).numpy(), expected, atol=1e-3)


def test_a_model_says_itself_whether_it_is_a_bound() -> None:
    assert not density(Normal(), vectors()).bound
    bound = Normal()
    bound.bound = True  # type: ignore[attr-defined]
    assert density(bound, vectors()).bound


def test_a_sampler_without_a_likelihood_and_a_conditional_bound_have_none() -> None:
    conditional = Factor()
    conditional.classes = 3  # type: ignore[attr-defined]
    for inner in (GaussianSampler(), conditional):
        found = scaled_sampler(inner, Scaling(vectors()), CPU)
        assert type(found) is ScaledSampler
        assert not hasattr(found, "log_prob")


def test_draws_depend_on_the_seed_that_was_given_and_labels_reach_the_model() -> None:
    points, labels = vectors(), torch.arange(50) % 4
    sampler = density(Seeded(), points)
    one, again, other = (sampler.log_prob(torch.from_numpy(points), seed=s, labels=labels) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    plain = density(Normal(), points).log_prob(torch.from_numpy(points), seed=0)
    np.testing.assert_array_equal(((one - plain) // 100).numpy(), labels.numpy())


def test_events_are_asked_for_in_blocks_with_their_labels_and_noise_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks of 7 of 50 events: the same but for the noise, which no two blocks share."""
    points, labels = vectors(), torch.arange(50) % 4
    whole = density(Seeded(), points).log_prob(torch.from_numpy(points), seed=1, labels=labels)
    monkeypatch.setattr(scaling_module, "BLOCK_ELEMENTS", 21)
    parts = density(Seeded(), points).log_prob(torch.from_numpy(points), seed=1, labels=labels)
    assert (whole - parts).abs().max() < 1.0001
    noise = parts - density(Normal(), points).log_prob(torch.from_numpy(points), seed=0) - 100 * labels
    assert (noise[:7] - noise[7:14]).abs().max() > 0.01


def test_global_random_state_is_neither_read_nor_changed() -> None:
    points = torch.from_numpy(vectors())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    density(Factor(), vectors()).log_prob(points, seed=3)
    assert torch.equal(before, torch.get_rng_state())


# Scores


def evaluator(**changes: Any) -> Evaluator:
    """ring8 with one metric, made ready."""
    metrics = (MetricSpec(metric="fd", extractor="identity", layer="pool"),)
    return Evaluator(make_benchmark(metrics=metrics, **changes), device="cpu")


class Truth:
    """The ring's own density, already in the units of the data."""

    name = "truth"

    def __init__(self, *, bad: int = 0) -> None:
        self.bad = bad

    def sample(self, n: int, *, seed: int) -> Tensor:
        raise AssertionError("no sample is needed for a likelihood")

    def log_prob(self, x: Tensor, *, seed: int) -> Tensor:
        mixture = ring8().mixture
        assert mixture is not None
        found = torch.from_numpy(mixture.log_prob(x.numpy()))
        found[: self.bad] = -math.inf
        return found


def test_the_score_is_the_mean_over_the_rows_that_metrics_compare_with() -> None:
    ready = evaluator(n=300)
    scores = likelihood_scores(ready, Truth(), seed=0)
    data = ready.dataset
    assert data.mixture is not None
    for score, split in zip(scores, ("train", "test"), strict=True):
        losses = -data.mixture.log_prob(data.split(split)[ready.spaces.real_rows(split, 300)])  # type: ignore[arg-type]
        assert score.estimate is not None
        assert score.estimate.value == pytest.approx(losses.mean(), rel=1e-12)
        assert (score.metric, score.unit, score.split, score.n_generated) == ("nll", "nats", split, 300)
        assert score.options == {"levels": None, "bound": False}


def test_at_most_a_thousand_events_of_a_split_are_asked_for() -> None:
    assert {score.n_reference for score in likelihood_scores(evaluator(n=2500), Truth(), seed=0)} == {1000}


def test_bits_per_dimension_of_uniform_images_are_the_logarithm_of_their_levels() -> None:
    """256 levels are 8 bits, whatever the image."""
    data = Dataset(name="grey", train=GREY[:15], test=GREY[15:])
    benchmark = make_benchmark(n=15, metrics=(MetricSpec(metric="fd", extractor="identity", layer="pool"),))
    ready = Evaluator(benchmark, device="cpu", dataset=data)
    for levels, bits, unit in (
        (256, 8.0, "bits per dimension"),
        (None, math.log2(255), "bits per dimension, of a density"),
    ):
        for score in likelihood_scores(ready, density(Uniform(levels), data.train), seed=0):
            assert score.estimate is not None
            assert score.estimate.value == pytest.approx(bits, rel=1e-6)
            assert (score.metric, score.unit, score.options["levels"]) == ("bits_per_dim", unit, levels)


def test_a_likelihood_that_is_not_finite_is_a_failure_and_no_number() -> None:
    for score in likelihood_scores(evaluator(), Truth(bad=2), seed=0):
        assert score.estimate is None
        assert score.failure is not None
        assert "200, 2 of them not finite" in score.failure


def test_a_sampler_without_a_likelihood_has_no_such_score() -> None:
    assert likelihood_scores(evaluator(), GaussianSampler(), seed=0) == ()


def test_a_model_whose_objective_is_no_likelihood_of_the_data_has_no_such_score() -> None:
    class Binary(Truth):
        def log_prob(self, x: Tensor, *, seed: int) -> Tensor:
            raise UsageError("bernoulli: values of -1 and 1 expected.")

    assert likelihood_scores(evaluator(), Binary(), seed=0) == ()


def test_a_conditional_model_is_told_the_class_of_every_event() -> None:
    class Labelled(Truth):
        classes = 8

        def log_prob(self, x: Tensor, *, seed: int, labels: Tensor) -> Tensor:  # type: ignore[override]
            mixture = ring8().mixture
            assert mixture is not None
            own = torch.from_numpy(mixture.centres)[labels]
            return -((x.double() - own) ** 2).sum(dim=1)

    for score in likelihood_scores(evaluator(), Labelled(), seed=0):
        assert score.estimate is not None
        # The mean square distance to a point's own centre is 2 std^2 = 8e-4; to another one it is over 1.
        assert score.estimate.value < 2e-3


def test_the_mean_has_students_interval() -> None:
    losses = np.random.default_rng(0).gamma(2.0, size=40)
    found = mean_loss(losses)
    low, high = stats.t.interval(0.95, 39, loc=losses.mean(), scale=stats.sem(losses))
    assert (found.value, found.low, found.high) == pytest.approx((losses.mean(), low, high), rel=1e-12)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, math.nan], [1.0, math.inf, 2.0]])
def test_too_few_or_infinite_losses_are_refused(losses: list[float]) -> None:
    with pytest.raises(SampleError, match="at least 2 finite numbers"):
        mean_loss(np.array(losses))
