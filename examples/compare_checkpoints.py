"""Compare two checkpoints: which one is better, by how much, and whether that is more than noise.

    python examples/compare_checkpoints.py

The checkpoints are made here, early and late in one training of the GAN of score_during_training.py; yours are files
that you have. About 10 seconds on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from score_during_training import LATENT, make_generator, train
from torch import nn

import genbench


def load(path: Path) -> nn.Module:
    """Rebuild a generator from its checkpoint."""
    generator = make_generator()
    generator.load_state_dict(torch.load(path, weights_only=True))
    return generator


def main() -> None:
    """Make two checkpoints and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("checkpoints"))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    digits, generator = genbench.load_dataset("digits"), make_generator()

    def after_step(step: int) -> None:
        if step in (300, 1200):
            torch.save(generator.state_dict(), args.folder / f"step{step}.pt")

    train(generator, torch.from_numpy(digits.train).float() / 127.5 - 1, 1200, after_step)

    comparison = genbench.compare(
        load(args.folder / "step300.pt"),
        load(args.folder / "step1200.pt"),
        reference=digits.train,
        held_out=digits.test,
        metrics=[f"{metric}@digits-cnn.pool" for metric in ("fd", "kd", "precision", "recall")],
        names=("step300", "step1200"),
        latent=str(LATENT),
        value_range=(-1, 1),
    )
    print(comparison)
    fd = comparison.to_frame().set_index("metric").loc["fd@digits-cnn.pool"]
    print(f"fd: {fd['difference']:.2f} [{fd['low']:.2f}, {fd['high']:.2f}], {fd['verdict']}")


if __name__ == "__main__":
    main()
