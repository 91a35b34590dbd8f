"""Options of the baselines: wrong ones are refused by name, right ones come as TOML gives them."""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest

from baselines.gan import GAN
from baselines.vae import VAE
from baselines.wgan_gp import WGANGP
from genbench.errors import UsageError

BAD = [
    (GAN, "loss", "wasserstein"),
    (GAN, "lr", 0),
    (GAN, "lr", math.inf),
    (GAN, "lr", "fast"),
    (GAN, "beta1", 1.0),
    (GAN, "ema", -0.1),
    (GAN, "width", 0),
    (GAN, "latent", 2.5),
    (WGANGP, "n_critic", True),
    (WGANGP, "penalty", -10),
    (WGANGP, "g_lr", math.nan),
    (WGANGP, "d_lr", None),
    (WGANGP, "ema", 1),
    (WGANGP, "width", -1),
    (WGANGP, "latent", 0),
    (VAE, "likelihood", "poisson"),
    (VAE, "likelihood", ["gaussian"]),
    (VAE, "levels", 1),
    (VAE, "samples", "modes"),
    (VAE, "lr", -1e-3),
    (VAE, "ema", 2),
    (VAE, "width", 1.5),
    (VAE, "latent", "16"),
]


@pytest.mark.parametrize(("recipe", "option", "value"), BAD)
def test_a_wrong_option_is_refused_by_name(recipe: Any, option: str, value: Any):
    with pytest.raises(UsageError, match=rf"option {option} must be .*, got"):
        recipe(**{option: value})


def test_options_are_accepted_as_toml_gives_them():
    gan = GAN(**tomllib.loads('loss = "saturating"\nlr = 1\nema = 0\nwidth = 16\nlatent = 3'))
    assert (gan.loss, gan.lr, gan.ema, gan.width, gan.latent) == ("saturating", 1, 0, 16, 3)


@pytest.mark.parametrize("recipe", [GAN, WGANGP, VAE])
def test_a_recipe_cannot_be_changed_after_it_was_checked(recipe: Any):
    with pytest.raises(AttributeError):
        recipe().ema = 5.0
