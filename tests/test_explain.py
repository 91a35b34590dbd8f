"""Listing and explaining: complete, in step with the declarations, and without torch where promised."""

from __future__ import annotations

import numpy as np
import pytest

from genbench.cli import main
from genbench.findings import read_map, sentence
from genbench.metrics.catalogue import catalogue, read_catalogue
from genbench.metrics.frechet import fd
from genbench.records import Estimate
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


def test_an_explanation_quotes_what_the_audit_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Coverage from the findings, and the row of the map; two names of one function each have their own."""
    found = read_map()
    for name, lines in (("recall", 2), ("w1", 2), ("w2", 2), ("fd", 4), ("novel_combinations", 0)):
        assert main(["explain", name]) == 0
        words = " ".join(capsys.readouterr().out.split())
        assert "What ``genbench audit`` found" in words
        assert "Coverage of 95% intervals: " in words
        assert len(found.of([name])) == lines
        for line in found.of([name]):
            assert f"On {line.ground}, n = {line.n}: " in words
            assert sentence(line, severities=found.severities) in words


def test_a_misspelt_metric_gets_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "covrage"]) == 2
    assert "Did you mean 'coverage'" in capsys.readouterr().err


def test_the_worked_example_is_what_its_own_recipe_gives(capsys: pytest.CaptureFixture[str]) -> None:
    """The null is a mean over pairs; that of 40 has a deviation below .01 (one pair's is .05), printed to .005."""
    rng = np.random.default_rng(0)

    def pair(n: int) -> Estimate:
        return fd(generated=rng.normal(size=(n, 32)), reference=rng.normal(size=(n, 32)))

    few, many = pair(500), pair(5000)
    null = np.mean([pair(500).value for _ in range(40)])
    assert main(["explain", "coverage"]) == 0
    out = capsys.readouterr().out
    assert f"have fd = {few.value:.2f}" in out
    assert f"value     {few.value:.2f}" in out
    assert f"debiased {few.debiased:.2f}" in out
    assert f"interval {few.low:.2f} to {few.high:.2f}" in out
    assert f"the value is {many.value:.2f} and debiased {many.debiased:.2f}" in out
    assert "null      1.18" in out
    assert abs(null - 1.18) < 0.03
