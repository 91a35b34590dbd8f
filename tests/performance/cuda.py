"""genbench's own metrics on the CPU and on a CUDA device."""

from __future__ import annotations

import torch

from tests.performance.case import Case, Contender, Inputs, Numbers, Sizes
from tests.performance.inputs import everything
from tests.performance.scored import values

PAIRS = {
    "fd": ("fd",),
    "kd": ("kd",),
    "prdc": ("precision", "recall", "density", "coverage"),
    "sliced": ("sliced_w2",),
}


def _on(device: str, names: tuple[str, ...], inputs: Inputs) -> Numbers:
    found = values(names, generated=inputs["generated"].to(device), reference=inputs["reference"].to(device))
    if device != "cpu":
        torch.cuda.synchronize()
    return found


def _classes_on(device: str, inputs: Inputs) -> Numbers:
    return values(["is"], generated=inputs["logits"].to(device))


def _case(name: str, names: tuple[str, ...]) -> Case:
    run = (lambda d, x: _classes_on(d, x)) if name == "is" else (lambda d, x: _on(d, names, x))
    return Case(
        name=f"cuda-{name}",
        title=f"{', '.join(names)} of {{n:,}} x {{d:,}} features or {{n:,}} x {{classes:,}} logits, CPU and CUDA",
        sizes=SIZES,
        make=everything,
        contenders=(
            Contender("genbench, CPU", lambda x: run("cpu", x)),
            Contender("genbench, CUDA", lambda x: run("cuda", x), cuda=True, does="transfer to the device included"),
        ),
        clock="wall",
        tolerance=dict.fromkeys(names, 1e-9),
    )


SIZES: Sizes = {"n": 10_000, "d": 2048, "classes": 1008}
CASES = tuple(_case(name, names) for name, names in {**PAIRS, "is": ("is",)}.items())
