"""What all generators trained against a critic share: their options, their networks, and how they are updated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from baselines.ema import EMA
from baselines.labels import class_count
from baselines.latents import LatentSampler, draw_latents
from baselines.networks import (
    LabelledCritic,
    LabelledGenerator,
    conv_critic,
    conv_generator,
    deep_critic,
    frozen,
    is_image,
    labelled_shape,
    latent_width,
    mlp_critic,
    mlp_generator,
)
from baselines.optimization import Optimizer, OptimizerOptions
from baselines.options import check_choice, check_count, check_flag, check_fraction
from baselines.parts import Parts
from genbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class AdversarialOptions(OptimizerOptions):
    """Options of every recipe with a generator and a critic; each is inert by default, but for the average."""

    name: ClassVar[str]  # that the recipe is registered by

    ema: float = 0.998  # of the generator's weights; 0: none
    dropout: float = 0.0  # in the hidden layers of both networks
    noise: str = "normal"  # of the latents; or "uniform", on [-1, 1]
    conditional: bool = False  # both networks see the labels of the data
    width: int | None = None  # absent: 32 channels at full resolution, or 128 units of a perceptron
    latent: int | None = None  # absent: 64 for images, the data's own width for vectors

    def __post_init__(self) -> None:
        self.check_optimization(self.name)
        check_fraction(self.name, ema=self.ema, dropout=self.dropout)
        check_choice(self.name, "noise", self.noise, ("normal", "uniform"))
        check_flag(self.name, conditional=self.conditional)
        for option in ("width", "latent"):
            if getattr(self, option) is not None:
                check_count(self.name, **{option: getattr(self, option)})


Recipe = TypeVar("Recipe", bound=AdversarialOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """A generator and its critic.

    Attributes
    ----------
    generator, critic : nn.Module
        (b, latent) -> (b, *event) -> (b,); conditional ones take labels (b,) as their second argument.
    latent : int
        Width of z.
    classes : int or None
        How many labels conditional ones know.
    """

    generator: nn.Module
    critic: nn.Module
    latent: int
    classes: int | None


def make_networks(
    recipe: AdversarialOptions,
    event_shape: tuple[int, ...],
    classes: int | None,
    *,
    perceptrons: bool = False,
    critic_batch_norm: bool = False,
    deep: bool = False,
) -> Networks:
    """Make a generator and a critic: convolutions for images, perceptrons for vectors, or where asked.

    Parameters
    ----------
    recipe : AdversarialOptions
        Of which width, latent, dropout and conditional count.
    event_shape : tuple of int
        (C, H, W) or (d,).
    classes : int or None
        How many labels the data have.
    perceptrons : bool
        For images, too.
    critic_batch_norm, deep : bool
        Which convolutional critic.

    Raises
    ------
    UsageError
        If a conditional recipe meets data without labels, or convolutions do not fit the image.
    """
    labels = class_count(recipe.name, conditional=recipe.conditional, classes=classes)
    latent = latent_width(event_shape, recipe.latent)
    embedded = latent if labels else 0
    seen = labelled_shape(event_shape, labels)
    if perceptrons or not is_image(event_shape):
        width = recipe.width or 128
        generator = mlp_generator(event_shape, latent + embedded, width, dropout=recipe.dropout)
        critic = mlp_critic(seen, width, dropout=recipe.dropout)
    else:
        width = recipe.width or 32
        generator = conv_generator(event_shape, latent + embedded, width, dropout=recipe.dropout)
        if deep:
            critic = deep_critic(seen, width, dropout=recipe.dropout)
        else:
            critic = conv_critic(seen, width, batch_norm=critic_batch_norm, dropout=recipe.dropout)
    if not labels:
        return Networks(generator=generator, critic=critic, latent=latent, classes=None)
    return Networks(
        generator=LabelledGenerator(generator, labels, embedded),
        critic=LabelledCritic(critic, labels, event_shape),
        latent=latent,
        classes=labels,
    )


class AdversarialTrainer(Parts, Generic[Recipe]):
    """Two networks with an optimizer each, and the average of the generator. An objective adds its ``step``.

    Parameters
    ----------
    recipe : AdversarialOptions
        The options.
    networks : Networks
        To train.
    device : torch.device
        Where.
    rates : (float, float)
        Learning rates of the generator and the critic.
    betas : (float, float)
        Of both optimizers.
    steps : int
        The budget in updates of the generator.
    n_critic : int
        Updates of the critic for one of the generator.
    """

    recordable: ClassVar[bool] = True  # an update runs wholly on the device, so it may be recorded and replayed
    parts: ClassVar[tuple[str, ...]] = ("generator", "critic", "ema", "g_optimizer", "d_optimizer")

    def __init__(
        self,
        recipe: Recipe,
        networks: Networks,
        device: torch.device,
        *,
        rates: tuple[float, float],
        betas: tuple[float, float],
        steps: int,
        n_critic: int = 1,
    ) -> None:
        self.recipe = recipe
        self.device = device
        self.latent, self.classes = networks.latent, networks.classes
        self.generator, self.critic = networks.generator.to(device), networks.critic.to(device)
        self.ema = EMA(self.generator, recipe.ema)
        self.g_optimizer = Optimizer(self.generator, rates[0], betas, recipe=recipe, steps=steps)
        self.d_optimizer = Optimizer(self.critic, rates[1], betas, recipe=recipe, steps=steps * n_critic)

    def generate(self, n: int, labels: Tensor | None) -> Tensor:
        """Draw latents, and map them to n events."""
        z = draw_latents(n, self.latent, self.recipe.noise, device=self.device)
        samples: Tensor = self.generator(z) if labels is None else self.generator(z, labels)
        return samples

    def judge(self, events: Tensor, labels: Tensor | None) -> Tensor:
        """Values of the critic, in float32 whatever its layers computed in: (b, *event) -> (b,)."""
        values: Tensor = self.critic(events) if labels is None else self.critic(events, labels)
        return values.float()

    def judge_both(self, batch: Tensor, generated: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Values of data and of samples in one pass, for critics in which no row depends on another."""
        twice = None if labels is None else torch.cat([labels, labels])
        values = self.judge(torch.cat([batch, generated]), twice)
        return values[: len(batch)], values[len(batch) :]

    def judge_fixed(self, generated: Tensor, labels: Tensor | None) -> Tensor:
        """Values through which the generator learns and the critic does not."""
        with frozen(self.critic):
            return self.judge(generated, labels)

    def update_generator(self, loss: Tensor) -> None:
        """Descend the generator's loss, and let its average follow."""
        self.g_optimizer.descend(loss)
        self.ema.update(self.generator)

    def cut(self, batch: Tensor, labels: Tensor | None, parts: int) -> list[tuple[Tensor, Tensor | None]]:
        """Share a batch among several updates of the critic.

        Raises
        ------
        UsageError
            If it cannot be cut into equal parts.
        """
        if len(batch) % parts or len(batch) == 0:
            raise UsageError(
                f"{self.recipe.name}: the batch is shared by n_critic = {parts} updates and must be a multiple of it, "
                f"got {len(batch)}; change one of them."
            )
        cut_labels = [None] * parts if labels is None else labels.chunk(parts)
        return list(zip(batch.chunk(parts), cut_labels, strict=True))

    def sampler(self) -> LatentSampler:
        """Return a sampler of the averaged generator as it is now."""
        return LatentSampler(
            self.recipe.name,
            self.ema.network,
            self.latent,
            self.device,
            noise=self.recipe.noise,
            classes=self.classes,
        )


def accuracy(data: Tensor, samples: Tensor, threshold: float = 0.0) -> Tensor:
    """Share of data and samples, weighted alike, that a critic has on their side of a threshold; 1/2: it is blind."""
    right = (data >= threshold).float().mean() + (samples < threshold).float().mean()
    return right.detach() / 2
