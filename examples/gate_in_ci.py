"""Fail a pull request that makes a generator worse.

    python examples/gate_in_ci.py --update        once: make gate.json, and commit it
    python examples/gate_in_ci.py                 in CI: exit code 0 pass, 1 regression, 3 the data cannot tell
    python examples/gate_in_ci.py --noise 60      a change that makes it worse

About 5 seconds on one core. The same from the command line is ``genbench check``.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

import genbench
from genbench.gate.baseline import write_baseline


def generate(n: int, *, seed: int, noise: float) -> Tensor:
    """Your generator; here real digits with noise, (n, 1, 8, 8) uint8."""
    rng = torch.Generator().manual_seed(seed)
    digits = torch.from_numpy(genbench.load_dataset("digits").train).float()
    chosen = digits[torch.randint(len(digits), (n,), generator=rng)]
    return (chosen + noise * torch.randn(chosen.shape, generator=rng)).clamp(0, 255).byte()


def main() -> int:
    """Make the baseline, or hold the generator against it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, default=Path("gate.json"))
    parser.add_argument("--noise", type=float, default=30.0)
    parser.add_argument("--update", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    generator = partial(generate, noise=args.noise)
    if args.update:
        baseline = genbench.make_baseline(generator, benchmark="digits", primary="fd", n=1200, name="noisy-digits")
        write_baseline(args.against, baseline)
        print(f"wrote {args.against}; commit it")
        return 0
    result = genbench.check(generator, args.against, margin="10%", name="noisy-digits")
    print(result)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
