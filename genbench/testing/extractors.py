"""What every extractor keeps: features of a sample that depend on that sample alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from genbench.errors import GenbenchError, SetupError
from genbench.extractors.modules import as_extractor
from genbench.protocols import FeatureExtractor
from genbench.registry import EXTRACTORS
from genbench.testing.baselines import little_data

CPU = torch.device("cpu")

ROUNDING = 1e-5
"""Of the largest feature: networks add their float32 products in another order for another number of rows."""


class ExtractorContract:
    """The contract of an extractor, `genbench.FeatureExtractor`; subclass it in a test file.

    Attributes
    ----------
    part : str
        A registered name, or ``package.module:attribute``.
    options : mapping
        Of the extractor.
    shapes : tuple of tuple of int
        Events to read: vectors and images by default. A shape that is refused with a `genbench.GenbenchError` is left
        out; one of them must be accepted.
    """

    part: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    shapes: ClassVar[tuple[tuple[int, ...], ...]] = ((2,), (1, 8, 8))

    @pytest.fixture
    def named(self, request: pytest.FixtureRequest) -> str:
        """What the extractor is asked for by."""
        return getattr(request, "param", None) or self.part

    @pytest.fixture
    def ready(self, named: str) -> list[tuple[FeatureExtractor, Tensor]]:
        """The extractor for every shape that it accepts, with fifty events of it."""
        return self.accepted(named)

    @classmethod
    @cache
    def accepted(cls, named: str) -> list[tuple[FeatureExtractor, Tensor]]:
        """Make the extractor, the first time, for every shape that it accepts."""
        found, refusals = [], []
        for shape in cls.shapes:
            try:
                found.append((cls.made(named, shape), torch.from_numpy(little_data(shape).train)))
            except SetupError as error:
                pytest.skip(f"this machine lacks something: {error}")
            except GenbenchError as error:
                refusals.append(f"{shape}: {error}")
        assert found, f"none of the shapes {cls.shapes} is accepted: {'; '.join(refusals)}"
        return found

    @classmethod
    def made(cls, named: str, shape: tuple[int, ...]) -> FeatureExtractor:
        """Make the extractor for events of a shape, as the evaluation does."""
        return as_extractor(
            EXTRACTORS.load(named),
            name=named,
            event_shape=shape,
            device=CPU,
            options=cls.options,
            reference=little_data(shape).train,
        )

    def test_layers_are_tables_of_the_declared_width(self, ready: list[tuple[FeatureExtractor, Tensor]]) -> None:
        """Every layer is a finite floating-point (n, width) table without gradient; ``pool`` is one of them."""
        for extractor, samples in ready:
            assert "pool" in extractor.layers, f"a layer 'pool' expected, got {', '.join(extractor.layers)}."
            found = extractor.extract(samples)
            assert set(found) == set(extractor.layers), f"layers {set(extractor.layers)} expected, got {set(found)}."
            for layer, width in extractor.layers.items():
                table = found[layer]
                expected = (len(samples), width)
                assert tuple(table.shape) == expected, f"{layer}: {expected} expected, got {tuple(table.shape)}."
                assert table.is_floating_point(), f"{layer}: floating point expected, got {table.dtype}."
                assert bool(table.isfinite().all()), f"{layer}: holds features that are not finite."
                assert not table.requires_grad, f"{layer}: carries a gradient; extract under torch.no_grad()."

    def test_a_row_depends_on_its_sample_alone(self, ready: list[tuple[FeatureExtractor, Tensor]]) -> None:
        """Neither the batch size nor the company nor the order of samples changes features, but for rounding."""
        for extractor, samples in ready:
            whole = extractor.extract(samples)
            parts = [extractor.extract(part) for part in torch.split(samples, 7)]
            backwards = extractor.extract(samples.flip(0))
            for layer, table in whole.items():
                allowed = ROUNDING * float(table.abs().max())
                cut = torch.cat([part[layer] for part in parts])
                for what, other in (("in batches of 7", cut), ("backwards", backwards[layer].flip(0))):
                    gap = float((table - other).abs().max())
                    assert gap <= allowed, (
                        f"{layer}: features move by {gap:g} when samples come {what}, {allowed:g} at most expected; "
                        "put networks in eval mode, and normalize no batch."
                    )

    def test_made_again_it_is_the_same(self, named: str, ready: list[tuple[FeatureExtractor, Tensor]]) -> None:
        """Fingerprint and features are those of the first one, to the last bit; samples stay as they were."""
        for extractor, samples in ready:
            before = samples.clone()
            first = extractor.extract(samples)
            assert torch.equal(samples, before), "extract wrote to the samples; copy them first."
            torch.rand(3)  # moves the global generator, which nothing may depend on
            again = self.made(named, tuple(samples.shape[1:]))
            assert re.fullmatch("[0-9a-f]{64}", extractor.fingerprint), (
                f"fingerprint: a sha256 in hexadecimal expected, got {extractor.fingerprint!r}."
            )
            assert again.fingerprint == extractor.fingerprint, "made twice, with two fingerprints."
            for layer, table in again.extract(samples).items():
                assert torch.equal(table, first[layer]), f"{layer}: made twice, with other features."

    def test_samples_of_another_shape_are_refused(self, ready: list[tuple[FeatureExtractor, Tensor]]) -> None:
        """With an error of genbench that says what was expected."""
        for extractor, samples in ready:
            other = torch.cat([samples, samples], dim=-1)
            try:
                extractor.extract(other)
            except GenbenchError:
                pass
            except Exception as error:
                pytest.fail(
                    f"{type(error).__name__} ({error}); check the shape, and raise genbench.errors.SampleError."
                )
            else:
                pytest.fail(f"made for {tuple(samples.shape[1:])}, and reads {tuple(other.shape[1:])} without a word.")
