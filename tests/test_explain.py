"""Listing and explaining: complete, in step with the declarations, and without torch where promised."""

from __future__ import annotations

import pytest

from genbench.cli import main
from genbench.metrics.catalogue import catalogue, read_catalogue
from genbench.registry import METRICS


def test_the_catalogue_is_that_of_the_declarations() -> None:
    """To write it anew: python -m genbench.metrics.catalogue."""
    assert read_catalogue() == catalogue()


def test_a_listed_metric_shows_direction_unit_needs_options_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "metrics"]) == 0
    out = capsys.readouterr().out
    for part in (
        "coverage            ↑",
        "higher is better, in share",
        "needs generated, reference, rng",
        "k=5",
        "2002.09797",
    ):
        assert part in out


@pytest.mark.parametrize("name", sorted(METRICS.entries()))
def test_every_metric_can_be_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(name)
    for part in ("uncertainty:", "source:", "Returns\n-------"):
        assert part in out


def test_a_misspelt_metric_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "covrage"]) == 2
    assert "Did you mean 'coverage'" in capsys.readouterr().err
