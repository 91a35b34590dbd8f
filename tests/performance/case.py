"""What a benchmark of speed is made of: inputs, and contenders that compute the same numbers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any

import torch

Sizes = Mapping[str, int]
Inputs = Mapping[str, Any]
Numbers = Mapping[str, float]

FEWEST = {"n": 60, "d": 4, "classes": 4, "directions": 10, "images": 2, "subset": 20, "queries": 60}
"""What a size never falls below, however small the scale."""

UNSCALED = {"subsets", "groups", "k"}


@dataclass(frozen=True)
class Contender:
    """Someone who computes the numbers.

    Attributes
    ----------
    name : str
        Of the package, and of the way where it has several.
    run : callable
        Takes what ``prepare`` returned, computes everything anew, and returns numbers by name. Each is compared with
        that of the first contender who returned one of that name.
    prepare : callable
        Takes the inputs; not timed. Building networks, say.
    package : str
        The distribution that is needed, as pip knows it.
    module : str
        What is imported of it.
    does : str
        What the work consists of, where it is not the whole of it.
    cuda : bool
        Whether it needs a CUDA device.
    """

    name: str
    run: Callable[[Any], Numbers]
    prepare: Callable[[Inputs], Any] = lambda inputs: inputs
    package: str = "genbench"
    module: str = "genbench"
    does: str = ""
    cuda: bool = False

    def missing(self) -> str | None:
        """Why it cannot take part, or None."""
        if self.cuda and not torch.cuda.is_available():
            return "no CUDA device"
        try:
            import_module(self.module)
        except ImportError:
            return "not installed"
        return None

    def version(self) -> str:
        """Of the package; genbench's own, which may not be installed, is in its module."""
        if self.package == "genbench":
            return str(import_module("genbench._version").__version__)
        return metadata.version(self.package)


@dataclass(frozen=True)
class Work:
    """What must be done at least: floating-point operations of matrix products, and bytes read."""

    float64: float = 0.0
    float32: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True)
class Case:
    """A comparison on the same inputs.

    Attributes
    ----------
    name : str
    title : str
        With the sizes in braces.
    sizes : mapping of str to int
        At full scale.
    make : callable
        Sizes in, inputs out. It draws with a fixed seed.
    contenders : tuple of Contender
        The first is the one that others are compared with.
    work : callable or None
        Sizes in, the least work out.
    limit : str
        What that work consists of.
    tolerance : mapping of str to float
        Relative, by the name of a number; 1e-9 where it is not named.
    clock : {"cpu", "wall"}
        Which time is compared; ``wall`` where a device works.
    rehearsal : float
        Scale of a run that precedes the one whose memory is measured: all that is loaded takes part in it.
    """

    name: str
    title: str
    sizes: Sizes
    make: Callable[[Sizes], Inputs]
    contenders: tuple[Contender, ...]
    work: Callable[[Sizes], Work] | None = None
    limit: str = ""
    tolerance: Mapping[str, float] = field(default_factory=dict)
    clock: str = "cpu"
    rehearsal: float = 1e-9

    def scaled(self, scale: float) -> dict[str, int]:
        """The sizes at a scale, none below what the contenders need."""
        return {
            name: size if name in UNSCALED else min(size, max(FEWEST[name], round(scale * size)))
            for name, size in self.sizes.items()
        }

    def titled(self, sizes: Sizes) -> str:
        """The title at these sizes."""
        return self.title.format(**sizes)

    def apart(self, found: Numbers, known: Numbers) -> dict[str, float]:
        """Relative differences of the numbers of the same names, each in units of its tolerance."""
        differences = {}
        for name in found.keys() & known.keys():
            size = max(abs(found[name]), abs(known[name]))
            off = abs(found[name] - known[name]) / size if size > 0 else 0.0
            differences[name] = off / self.tolerance.get(name, 1e-9)
        return differences
