import math

import numpy as np
import pytest
import torch
from scipy import stats

from genbench.errors import SampleError
from genbench.metrics.likelihood import LatentModel, iwae_bound, likelihood_gap, reconstruction_error


class LinearGaussian:
    """p(x|z) = N(W z, s^2 I) with z ~ N(0, I), so that p(x) = N(0, W W^T + s^2 I).

    The posterior is N(P W^T x / s^2, P) with P = (I + W^T W / s^2)^-1, diagonal where the columns of W are orthogonal.
    ``inflation`` multiplies the variance of q.
    """

    def __init__(self, *, latent=5, width=8, noise=0.5, inflation=1.0):
        columns = np.linalg.qr(np.random.default_rng(0).standard_normal((width, latent)))[0]
        self.weight = torch.from_numpy(columns * np.linspace(0.5, 2.0, latent))
        self.noise, self.inflation = noise, inflation
        self.variance = 1 / (1 + self.weight.square().sum(dim=0) / noise**2)

    def encode(self, x):
        mean = self.variance * (x @ self.weight) / self.noise**2
        return mean, (self.inflation * self.variance).log().expand_as(mean)

    def log_likelihood(self, x, z):
        squares = (x - z @ self.weight.T).square().sum(dim=1)
        return -0.5 * squares / self.noise**2 - x.shape[1] * math.log(self.noise * math.sqrt(2 * math.pi))

    def exact(self, x):
        covariance = self.weight @ self.weight.T + self.noise**2 * torch.eye(x.shape[1], dtype=torch.float64)
        return stats.multivariate_normal(np.zeros(x.shape[1]), covariance.numpy()).logpdf(x.numpy())

    def draw(self, n, seed=1):
        rng = np.random.default_rng(seed)
        z = torch.from_numpy(rng.standard_normal((n, self.weight.shape[1])))
        return z @ self.weight.T + self.noise * torch.from_numpy(rng.standard_normal((n, self.weight.shape[0])))


@pytest.mark.parametrize("k", [1, 7])
def test_the_exact_posterior_gives_the_exact_likelihood_and_weights_that_do_not_vary(k):
    model = LinearGaussian()
    x = model.draw(20)
    found = iwae_bound(model, x, k=k, seed=0)
    assert found.log_prob == pytest.approx(model.exact(x), abs=1e-9)
    assert found.effective == pytest.approx(np.full(20, float(k)), abs=1e-9)
    assert found.bias == pytest.approx(np.zeros(20), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(1, 4000), (50, 2000), (500, 1000)])
def test_bias_of_a_posterior_of_twice_the_variance_is_that_of_its_weights(k, n):
    """At k = 1 the bias is -KL(q || posterior) = -L/2 (1 - log 2), .77 for L = 5 latents.

    At large k it is -Var(w)/(2k) for weights of mean one, E w^2 = (2/sqrt 3)^L, which is .0105 at 50 and .0011 at
    500, with a next order of about 1/k of that. Within 4 standard errors (6e-5) and that next order, a tenth.
    """
    model = LinearGaussian(inflation=2.0)
    x = model.draw(n)
    short = iwae_bound(model, x, k=k, seed=0).log_prob - model.exact(x)
    expected = -2.5 * (1 - math.log(2)) if k == 1 else -((2 / math.sqrt(3)) ** 5 - 1) / (2 * k)
    assert abs(short.mean() - expected) < 4 * short.std(ddof=1) / n**0.5 + 0.1 * abs(expected)
    assert short.mean() < 0


def test_its_own_account_of_the_bias_is_right_where_that_is_small():
    """k = 500: first order against the exact likelihood, within 4 standard errors (6e-5) of the mean."""
    model = LinearGaussian(inflation=2.0)
    x = model.draw(1000)
    found = iwae_bound(model, x, k=500, seed=0)
    left = found.log_prob - found.bias - model.exact(x)
    assert found.bias.mean() == pytest.approx(-((2 / math.sqrt(3)) ** 5 - 1) / 1000, rel=0.1)
    assert abs(left.mean()) < 4 * left.std(ddof=1) / 1000**0.5


def test_an_example_is_scored_alike_alone_and_in_company():
    model = LinearGaussian(inflation=2.0)
    x = model.draw(30)
    all_of_them, first = iwae_bound(model, x, k=20, seed=3), iwae_bound(model, x[:7], k=20, seed=3)
    assert first.log_prob == pytest.approx(all_of_them.log_prob[:7], abs=1e-12)
    assert (iwae_bound(model, x, k=20, seed=4).log_prob != all_of_them.log_prob).all()


def test_blocks_do_not_change_the_result(monkeypatch):
    model = LinearGaussian(inflation=2.0)
    x = model.draw(10)
    whole = iwae_bound(model, x, k=4, seed=0).log_prob
    monkeypatch.setattr("genbench.metrics.likelihood.BLOCK_ELEMENTS", 1)
    assert iwae_bound(model, x, k=4, seed=0).log_prob == pytest.approx(whole, abs=1e-12)


def test_the_global_generator_is_left_alone():
    model, before = LinearGaussian(), torch.get_rng_state()
    iwae_bound(model, model.draw(3), k=2, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_bench_keeps_the_protocol():
    assert isinstance(LinearGaussian(), LatentModel)


@pytest.mark.parametrize(
    ("x", "k", "message"),
    [
        (torch.zeros((3, 8), dtype=torch.int64), 5, "floating-point"),
        (torch.zeros((0, 8), dtype=torch.float64), 5, "examples"),
        (torch.zeros((3, 8), dtype=torch.float64), 0, "k >= 1"),
        (torch.full((3, 8), torch.nan, dtype=torch.float64), 5, "3 of 3 examples are not"),
    ],
)
def test_what_has_no_likelihood_is_refused(x, k, message):
    with pytest.raises(SampleError, match=f"iwae: .*{message}"):
        iwae_bound(LinearGaussian(), x, k=k, seed=0)


@pytest.mark.parametrize("part", ["encode", "log_likelihood"])
def test_a_model_of_the_wrong_shape_is_refused(part):
    model = LinearGaussian()
    wrong = torch.zeros((1, 1, 1), dtype=torch.float64)
    setattr(model, part, (lambda x: (wrong, wrong)) if part == "encode" else (lambda x, z: wrong))
    with pytest.raises(SampleError, match=f"expected of {part}"):
        iwae_bound(model, torch.zeros((3, 8), dtype=torch.float64), k=5, seed=0)


def test_gap_is_welchs():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal(50) + 1, 3 * rng.standard_normal(20)
    estimate = likelihood_gap(train, test)
    interval = stats.ttest_ind(train, test, equal_var=False).confidence_interval(0.95)
    assert estimate.value == pytest.approx(train.mean() - test.mean())
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))


def test_interval_of_the_gap_covers():
    """A gap of 0.5 between unlike deviations and sizes, 400 draws: at 95%, fewer than 360 have probability 2e-5."""
    rng = np.random.default_rng(0)
    found = [likelihood_gap(rng.standard_normal(60) + 0.5, 3 * rng.standard_normal(25)) for _ in range(400)]
    assert sum(e.low <= 0.5 <= e.high for e in found) >= 360


def test_gap_of_constants_has_no_error_and_sides_change_its_sign():
    estimate = likelihood_gap([2.0, 2.0], [1.0, 1.0, 1.0])
    assert (estimate.value, estimate.std_error) == (1.0, 0.0)
    assert likelihood_gap([1.0, 2.0], [5.0, 9.0]).value == -likelihood_gap([5.0, 9.0], [1.0, 2.0]).value


@pytest.mark.parametrize("bad", [[1.0], [1.0, math.nan], [[1.0, 2.0]], [math.inf, 1.0]])
def test_gap_of_what_is_no_likelihood_is_refused(bad):
    with pytest.raises(SampleError, match="likelihood_gap: at least 2 finite"):
        likelihood_gap(bad, [1.0, 2.0])


def test_reconstruction_error_is_the_mean_square_of_all_numbers():
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 1, 4, 4)), rng.random((30, 1, 4, 4))
    estimate = reconstruction_error(x, y)
    errors = ((x - y) ** 2).mean(axis=(1, 2, 3))
    assert estimate.value == pytest.approx(errors.mean())
    assert estimate.std_error == pytest.approx(errors.std(ddof=1) / 30**0.5)
    assert estimate.extra["worst"] == pytest.approx(errors.max())
    assert reconstruction_error(x, x).value == 0.0


def test_reconstructions_of_another_shape_are_refused():
    with pytest.raises(SampleError, match="one shape"):
        reconstruction_error(np.zeros((3, 2)), np.zeros((3, 3)))
    with pytest.raises(SampleError, match="at least 2 finite"):
        reconstruction_error(np.zeros((1, 2)), np.zeros((1, 2)))
