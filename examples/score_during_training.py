"""Score a GAN of your own while it is trained, and keep its best weights.

    python examples/score_during_training.py --out results

A plain PyTorch loop on 8x8 digits; what concerns genbench is in ``main``. About 15 seconds on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

import genbench
from genbench.callbacks import Evaluator

LATENT = 16


def make_generator() -> nn.Module:
    """Latents (n, 16) to images (n, 1, 8, 8) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(LATENT, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 128), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)),
    )  # fmt: skip


def train(generator: nn.Module, real: Tensor, steps: int, after_step: Callable[[int], None]) -> None:
    """The non-saturating GAN game."""
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
    nets = (generator, discriminator)
    for_generator, for_discriminator = (torch.optim.Adam(net.parameters(), lr=5e-4, betas=(0.5, 0.99)) for net in nets)
    softplus = nn.functional.softplus
    for step in range(1, steps + 1):
        batch = real[torch.randint(len(real), (64,))]
        fake = generator(torch.randn(64, LATENT))
        for_discriminator.zero_grad()
        (softplus(-discriminator(batch)) + softplus(discriminator(fake.detach()))).mean().backward()
        for_discriminator.step()
        for_generator.zero_grad()
        softplus(-discriminator(fake)).mean().backward()
        for_generator.step()
        after_step(step)


def main() -> None:
    """Train, score along the way, and say what was best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--every", type=int, default=300)
    parser.add_argument("--out", help="a results folder for the records: genbench compare, export and report read it")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits, generator, kept = genbench.load_dataset("digits"), make_generator(), {}

    evaluator = Evaluator(
        digits.train,
        held_out=digits.test,
        metrics=[f"{metric}@digits-cnn.pool" for metric in ("fd", "precision", "recall")],
        every=args.every,
        latent=str(LATENT),
        value_range=(-1, 1),
        name="my-gan",
        out=args.out,
    )

    def after_step(step: int) -> None:
        run = evaluator(step, generator, final=step == args.steps)
        if run is not None:
            print(repr(run), flush=True)
            if run is evaluator.best:  # better than the best so far by more than noise
                kept.update({name: value.clone() for name, value in generator.state_dict().items()})

    train(generator, torch.from_numpy(digits.train).float() / 127.5 - 1, args.steps, after_step)
    print(f"\n{evaluator.history}\n\n{evaluator.history!r}")
    generator.load_state_dict(kept)


if __name__ == "__main__":
    main()
