"""Variants: every baseline that has the option, at every setting, under a name that is a folder's and reads back."""

from __future__ import annotations

import pytest

from genbench.benchmarks import load_benchmark
from genbench.benchmarks.variants import Variant, parse_variant, vary
from genbench.definitions import Budget
from genbench.errors import UnknownNameError, UsageError
from genbench.recipes import build_baseline, cell_name
from genbench.store import check_name
from tests.makers import make_benchmark


def test_factors_multiply_what_the_benchmark_has() -> None:
    benchmark = make_benchmark(baselines={"gan": Budget(steps=10, batch=4, options={"lr": 1e-3})})
    found = vary(benchmark, "lr=x0.3,x1,x3").baselines
    assert {name: b.options["lr"] for name, b in found.items()} == pytest.approx(
        {"gan.lr-x0.3": 3e-4, "gan.lr-x1": 1e-3, "gan.lr-x3": 3e-3}
    )
    assert {(b.baseline, b.steps, b.batch) for b in found.values()} == {("gan", 10, 4)}


def test_a_default_of_the_recipe_is_multiplied_where_the_benchmark_says_nothing() -> None:
    found = vary(make_benchmark(baselines={"gan": Budget(steps=10, batch=4)}), "lr=x2").baselines
    assert found["gan.lr-x2"].options["lr"] == 2 * build_baseline("gan", {}).lr  # type: ignore[attr-defined]


def test_the_learning_rate_is_that_of_both_networks() -> None:
    budget = Budget(steps=10, batch=4, options={"g_lr": 2e-3, "n_critic": 3})
    options = vary(make_benchmark(baselines={"wgan-gp": budget}), "lr=x0.5").baselines["wgan-gp.lr-x0.5"].options
    assert options == {"g_lr": 1e-3, "n_critic": 3, "d_lr": pytest.approx(5e-5)}


def test_plain_values_stand_for_themselves() -> None:
    benchmark = make_benchmark(baselines={"gan": Budget(steps=10, batch=4)})
    assert [b.options["ema"] for b in vary(benchmark, "ema=0,0.99").baselines.values()] == [0, 0.99]
    assert vary(benchmark, "loss=saturating").baselines["gan.loss-saturating"].options == {"loss": "saturating"}


def test_baselines_without_the_option_are_left_out() -> None:
    benchmark = make_benchmark(baselines={name: Budget(steps=10, batch=4) for name in ("gan", "wgan-gp", "vae")})
    assert list(vary(benchmark, "n_critic=1,2").baselines) == ["wgan-gp.n_critic-1", "wgan-gp.n_critic-2"]


def test_every_learning_rate_of_a_shipped_benchmark_can_be_varied_and_built() -> None:
    benchmark = load_benchmark("digits")
    found = vary(benchmark, "lr=x0.3,x3")
    assert len(found.baselines) == 2 * len(benchmark.baselines)
    for name, budget in found.baselines.items():
        assert check_name(cell_name(name)) == name
        build_baseline(budget.baseline, budget.options)


def test_names_read_back() -> None:
    for variant in (
        Variant("gan", "lr", "x0.3"),
        Variant("my.models.Mine", "ema", "0.99"),
        Variant("g", "a_b", "1e-3"),
    ):
        assert parse_variant(variant.name) == variant
    for name in ("gan", "gan-minimax", "my.models.Mine", "gan.v2"):
        assert parse_variant(name) is None


def test_variations_can_be_varied() -> None:
    benchmark = make_benchmark(baselines={"gan": Budget(steps=10, batch=4, options={"lr": 1e-3})})
    found = vary(vary(benchmark, "lr=x2"), "ema=0.9").baselines
    assert list(found) == ["gan.lr-x2.ema-0.9"]
    assert found["gan.lr-x2.ema-0.9"].options == {"lr": 2e-3, "ema": 0.9}
    assert parse_variant("gan.lr-x2.ema-0.9") == ("gan.lr-x2", "ema", "0.9")


def test_a_recipe_under_another_name_keeps_its_recipe() -> None:
    benchmark = make_benchmark(baselines={"plain": Budget(steps=10, batch=4, baseline="gan")})
    assert vary(benchmark, "lr=x2").baselines["plain.lr-x2"].baseline == "gan"


@pytest.mark.parametrize("text", ["lr", "=x1", "lr=", "lr=x1,,x3", "lr=a/b", "lr=[1]"])
def test_malformed_variations_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--vary"):
        vary(make_benchmark(), text)


def test_an_option_that_nobody_has_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'ema'"):
        vary(make_benchmark(), "emma=x1")


@pytest.mark.parametrize("text", ["loss=x2", "n_critic=x1.5"])
def test_what_cannot_be_multiplied_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="give plain values"):
        vary(make_benchmark(), text)
