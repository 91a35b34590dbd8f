"""What every sampler keeps: samples that depend on their seed alone, in the form that genbench scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from genbench.errors import SampleError
from genbench.isolation import kept_generators
from genbench.registry import SAMPLERS
from genbench.sampling.check import check_samples

CPU = torch.device("cpu")


class SamplerContract:
    """The contract of a sampler, `genbench.Sampler`; subclass it in a test file.

    Attributes
    ----------
    part : str or object
        An object with ``sample``, or what makes one when called; or its name, as ``package.module:attribute``.
    options : mapping
        For what makes one.
    """

    part: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> Any:
        """The sampler."""
        return self.made(getattr(request, "param", None) or type(self).part)

    @classmethod
    def made(cls, part: Any) -> Any:
        """Make the sampler of a name or an object."""
        found = SAMPLERS.load(part) if isinstance(part, str) else part
        made = found if hasattr(found, "sample") and not isinstance(found, type) else found(**cls.options)
        assert callable(getattr(made, "sample", None)), (
            f"{part}: an object with sample(n, *, seed) expected, got {type(made).__name__}."
        )
        return made

    def test_it_has_a_name(self, sampler: Any) -> None:
        """Tables call it by that."""
        name = getattr(sampler, "name", None)
        assert isinstance(name, str), f"an attribute name, a text, expected, got {name!r}."
        assert name.strip(), "the attribute name is empty."

    @pytest.mark.parametrize("n", [1, 7, 256])
    def test_samples_are_what_was_asked_for(self, sampler: Any, n: int) -> None:
        """As many as asked for: uint8 images (n, C, H, W), or finite vectors (n, d), without a gradient."""
        samples = _drawn(sampler, n, seed=0)
        assert isinstance(samples, Tensor), f"a torch tensor expected, got {type(samples).__name__}."
        assert samples.ndim in (2, 4), f"images (n, C, H, W) or vectors (n, d) expected, got {tuple(samples.shape)}."
        assert not samples.requires_grad, "samples carry a gradient; sample under torch.no_grad()."
        try:
            check_samples(samples, event_shape=tuple(samples.shape[1:]), n=n, who=str(sampler.name))
        except SampleError as error:
            pytest.fail(str(error))

    def test_the_seed_decides(self, sampler: Any) -> None:
        """One seed gives one set of samples, whatever was drawn before; another seed gives another."""
        samples = _drawn(sampler, 64, seed=0)
        with kept_generators(CPU):
            torch.manual_seed(12345)
            again = _drawn(sampler, 64, seed=0)
        assert torch.equal(samples, again), (
            "one seed gave two sets of samples; draw from torch.Generator().manual_seed(seed), not from torch's own."
        )
        assert not torch.equal(samples, _drawn(sampler, 64, seed=1)), "two seeds gave one set of samples."

    def test_samples_differ_from_each_other(self, sampler: Any) -> None:
        """A generator that is seeded anew for every sample gives the same one again and again."""
        samples = _drawn(sampler, 64, seed=0).flatten(1)
        assert bool((samples != samples[0]).any()), "all of 64 samples are the same."

    def test_global_generators_stay_as_they_were(self, sampler: Any) -> None:
        """Sampling in the middle of a training must not change the training."""
        with kept_generators(CPU):
            before = torch.get_rng_state()
            _drawn(sampler, 8, seed=0)
            after = torch.get_rng_state()
        assert torch.equal(before, after), "sampling moved torch's own generator; draw from one of its own."


def _drawn(sampler: Any, n: int, *, seed: int) -> Tensor:
    """Ask for n samples, of a conditional sampler class by class in turn."""
    classes = getattr(sampler, "classes", None)
    labels = {} if classes is None else {"labels": torch.arange(n) % classes}
    found: Tensor = sampler.sample(n, seed=seed, **labels)
    return found
