"""What every recipe with a generator and a critic promises, whatever its objective."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.adversarial import AdversarialOptions, AdversarialTrainer, accuracy
from baselines.dcgan import DCGAN
from baselines.gan import GAN
from baselines.lsgan import LSGAN
from baselines.r3gan import R3GAN
from baselines.sn_gan import SNGAN
from baselines.wgan import WGAN
from baselines.wgan_gp import WGANGP
from genbench.errors import UsageError
from genbench.protocols import Baseline, Trainer

CPU = torch.device("cpu")
RECIPES = [GAN, DCGAN, LSGAN, WGAN, WGANGP, SNGAN, R3GAN]
MANY_UPDATES = [WGAN, WGANGP, SNGAN]
SHAPES = [(2,), (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)]
ROWS = 10  # a multiple of every n_critic

every_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])


def batch(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return 2 * torch.rand(ROWS, *shape, generator=torch.Generator().manual_seed(seed)) - 1


def step(trainer: AdversarialTrainer[Any], t: int, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Update as the harness does: what is random in a step depends on its number alone."""
    torch.manual_seed(t)
    labels = torch.arange(ROWS) % 3 if trainer.recipe.conditional else None
    return dict(trainer.step(batch(shape, t), labels))


def weights(state: Any) -> list[Tensor]:
    """Every tensor in nested states, in order."""
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else []
    return [tensor for part in parts for tensor in weights(part)]


@every_recipe
@pytest.mark.parametrize("conditional", [False, True], ids=["plain", "conditional"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_of_event_can_be_trained_and_sampled(
    recipe: type[AdversarialOptions], conditional: bool, shape: tuple[int, ...]
):
    made = recipe(width=4, conditional=conditional)
    told = {"classes": 3} if conditional else {}
    trainer = made.build(shape, device=CPU, steps=2, **told)
    losses = step(trainer, 0, shape)
    assert all(loss.shape == () and not loss.requires_grad and bool(loss.isfinite()) for loss in losses.values())
    asked = {"labels": torch.tensor([2, 0, 1])} if conditional else {}
    samples = trainer.sampler().sample(3, seed=0, **asked)
    assert (samples.shape, samples.dtype, samples.requires_grad) == ((3, *shape), torch.float32, False)
    assert len(shape) == 1 or samples.abs().max() <= 1


@every_recipe
def test_recipes_and_trainers_are_what_the_harness_expects(recipe: type[AdversarialOptions]):
    trainer = recipe(width=4).build((2,), device=CPU, steps=1)
    assert isinstance(recipe(), Baseline)
    assert isinstance(trainer, Trainer)
    assert trainer.recordable
    assert trainer.sampler().name == recipe.name
    assert trainer.sampler().classes is None


@every_recipe
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "rmsprop", "schedule": "cosine", "warmup": 0.3, "l1": 1e-4, "clip": 1.0, "noise": "uniform"},
        {"optimizer": "adam", "weight_decay": 0.01, "dropout": 0.2, "conditional": True, "schedule": "linear"},
    ],
    ids=["default", "other", "conditional"],
)
@pytest.mark.parametrize("shape", [(2,), (1, 8, 8)], ids=str)
def test_resuming_is_exact(recipe: type[AdversarialOptions], options: dict[str, Any], shape: tuple[int, ...]):
    made = recipe(width=4, **options)
    told = {"classes": 3} if made.conditional else {}
    through, begun, resumed = (made.build(shape, device=CPU, steps=4, **told) for _ in range(3))
    begun.load_state_dict(through.state_dict())
    for t in range(2):
        step(through, t, shape)
        step(begun, t, shape)
    resumed.load_state_dict(begun.state_dict())
    for t in range(2, 4):
        expected, found = step(through, t, shape), step(resumed, t, shape)
        assert list(expected) == list(found)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    ours, theirs = weights(resumed.state_dict()), weights(through.state_dict())
    assert len(ours) > 10
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@every_recipe
def test_sampler_is_a_snapshot_and_training_does_not_notice_it(recipe: type[AdversarialOptions]):
    shape = (1, 8, 8)
    watched, alone = (recipe(width=4).build(shape, device=CPU, steps=4) for _ in range(2))
    alone.load_state_dict(watched.state_dict())
    step(watched, 0, shape)
    step(alone, 0, shape)
    sampler = watched.sampler()
    before = sampler.sample(5, seed=0)
    assert watched.generator.training
    assert watched.critic.training
    step(watched, 1, shape)
    step(alone, 1, shape)
    assert torch.equal(sampler.sample(5, seed=0), before)
    assert not torch.equal(watched.sampler().sample(5, seed=0), before)
    assert all(
        torch.equal(a, b) for a, b in zip(weights(watched.state_dict()), weights(alone.state_dict()), strict=True)
    )


@every_recipe
def test_samples_are_those_of_the_average_in_eval_mode(recipe: type[AdversarialOptions]):
    trainer = recipe(width=4, dropout=0.5, ema=0.5).build((1, 8, 8), device=CPU, steps=3)
    step(trainer, 0, (1, 8, 8))
    z = torch.randn(6, trainer.latent, generator=torch.Generator().manual_seed(3))
    assert torch.equal(trainer.sampler().sample(6, seed=3), trainer.ema.network.eval()(z))


@every_recipe
def test_generators_see_the_noise_asked_for(recipe: type[AdversarialOptions]):
    trainer = recipe(width=4, noise="uniform").build((2,), device=CPU, steps=1)
    seen: list[Tensor] = []
    trainer.generator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    step(trainer, 0, (2,))
    assert seen
    assert max(z.abs().max() for z in seen) <= 1


@pytest.mark.parametrize("recipe", MANY_UPDATES, ids=[recipe.name for recipe in MANY_UPDATES])
def test_a_step_is_n_critic_updates_of_the_critic_and_one_of_the_generator(recipe: Any):
    trainer = recipe(width=4, n_critic=5, optimizer="adam").build((2,), device=CPU, steps=1)
    step(trainer, 0, (2,))
    counts = [
        next(iter(part.inner.state.values()))["step"].item() for part in (trainer.d_optimizer, trainer.g_optimizer)
    ]
    assert counts == [5, 1]


@pytest.mark.parametrize("recipe", MANY_UPDATES, ids=[recipe.name for recipe in MANY_UPDATES])
def test_schedules_of_both_networks_end_with_the_budget(recipe: Any):
    trainer = recipe(width=4, n_critic=2, optimizer="adam", schedule="linear").build((2,), device=CPU, steps=4)
    for t in range(4):
        step(trainer, t, (2,))
    critic, generator = (p.inner.param_groups[0]["lr"] / p.lr for p in (trainer.d_optimizer, trainer.g_optimizer))
    assert critic == pytest.approx(1 / 8)  # that of the last of eight updates
    assert generator == pytest.approx(1 / 4)


@pytest.mark.parametrize("recipe", MANY_UPDATES, ids=[recipe.name for recipe in MANY_UPDATES])
def test_a_batch_that_the_updates_cannot_share_is_refused(recipe: Any):
    trainer = recipe(width=4, n_critic=3).build((2,), device=CPU, steps=1)
    with pytest.raises(UsageError, match=rf"{recipe.name}: .*n_critic = 3 .*got 10"):
        trainer.step(batch((2,)))


@pytest.mark.parametrize("recipe", MANY_UPDATES, ids=[recipe.name for recipe in MANY_UPDATES])
def test_labels_stay_with_their_rows_when_a_batch_is_cut(recipe: Any):
    trainer = recipe(width=4, n_critic=2, conditional=True).build((2,), device=CPU, steps=1, classes=ROWS)
    parts = trainer.cut(torch.arange(ROWS).reshape(ROWS, 1).expand(ROWS, 2), torch.arange(ROWS), 2)
    assert [len(rows) for rows, _ in parts] == [5, 5]
    assert all(torch.equal(rows[:, 0], labels) for rows, labels in parts)


@every_recipe
def test_a_conditional_recipe_needs_labels(recipe: type[AdversarialOptions]):
    with pytest.raises(UsageError, match=rf"{recipe.name}: option conditional needs data with labels"):
        recipe(conditional=True).build((2,), device=CPU, steps=1)


@every_recipe
def test_labels_reach_both_networks(recipe: type[AdversarialOptions]):
    trainer = recipe(width=4, conditional=True, ema=0).build((1, 8, 8), device=CPU, steps=3, classes=3)
    shown = [trainer.generator.labels.weight, trainer.critic.labels.weight]
    before = [p.detach().clone() for p in shown]
    step(trainer, 0, (1, 8, 8))
    assert not any(torch.equal(a, b) for a, b in zip(before, shown, strict=True))


@every_recipe
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ema", 1.0),
        ("dropout", -0.1),
        ("noise", "laplace"),
        ("conditional", "yes"),
        ("optimizer", "lion"),
        ("schedule", "step"),
        ("width", 0),
        ("latent", 1.5),
        ("l1", -1),
    ],
)
def test_a_wrong_common_option_is_refused_by_name(recipe: type[AdversarialOptions], option: str, value: Any):
    with pytest.raises(UsageError, match=rf"{recipe.name}: option {option} must be .*, got"):
        recipe(**{option: value})


@pytest.mark.parametrize(
    ("recipe", "option", "value"),
    [
        (DCGAN, "loss", "hinge"),
        (DCGAN, "beta1", 1),
        (LSGAN, "lr", 0),
        (WGAN, "weight_clip", 0.0),
        (WGAN, "n_critic", 0),
        (SNGAN, "deep", 1),
        (SNGAN, "beta1", math.nan),
        (R3GAN, "gamma", 0),
        (R3GAN, "beta2", 1.0),
    ],
)
def test_a_wrong_option_of_a_recipe_is_refused_by_name(recipe: Any, option: str, value: Any):
    with pytest.raises(UsageError, match=rf"{recipe.name}: option {option} must be .*, got"):
        recipe(**{option: value})


@every_recipe
def test_a_step_reads_nothing_back_from_the_device(recipe: type[AdversarialOptions]):
    """On the meta device, where numbers do not exist, reading one is an error: nothing in a step may depend on one."""
    nowhere = torch.device("meta")
    options = {"schedule": "cosine", "l1": 1e-4, "conditional": True, "noise": "uniform"}
    trainer = recipe(width=4, **options).build((1, 8, 8), device=nowhere, steps=2, classes=3)
    for optimizer in (trainer.g_optimizer, trainer.d_optimizer):
        optimizer.inner = _NoUpdates(optimizer.inner)
    with nowhere:
        losses = trainer.step(torch.zeros(ROWS, 1, 8, 8), torch.zeros(ROWS, dtype=torch.int64))
    assert all(loss.device == nowhere for loss in losses.values())


class _NoUpdates:
    """An optimizer that leaves weights as they are: torch's fused ones do not know the meta device."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.param_groups = inner.param_groups
        self.zero_grad = inner.zero_grad

    def step(self) -> None:
        pass


def test_accuracy_is_one_half_for_a_blind_critic_and_weighs_both_sides_alike():
    blind, right, wrong = torch.zeros(4), torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0, -3.0, 1.0])
    assert accuracy(blind, blind).item() == 0.5
    assert accuracy(right, wrong).item() == pytest.approx((1 + 3 / 4) / 2)
    assert accuracy(right, right, threshold=1.5).item() == pytest.approx(0.5)


def test_a_critic_in_lower_precision_is_judged_in_float32():
    trainer = GAN(width=4).build((2,), device=CPU, steps=1)
    trainer.critic = nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)).bfloat16()
    assert trainer.judge(torch.zeros(3, 2, dtype=torch.bfloat16), None).dtype == torch.float32
