"""``pytest --pyargs genbench.testing``: the contracts of the parts that the command line names, or of all plug-ins."""

from __future__ import annotations

from contextlib import suppress

import pytest

from genbench.errors import GenbenchError
from genbench.testing import BaselineContract, DatasetContract, ExtractorContract, MetricContract, SamplerContract
from genbench.testing.parts import chosen_parts


class TestMetric(MetricContract):
    """Metrics."""


class TestBaseline(BaselineContract):
    """Baselines."""


class TestDataset(DatasetContract):
    """Datasets."""


class TestSampler(SamplerContract):
    """Samplers."""


class TestExtractor(ExtractorContract):
    """Extractors."""


MADE_FROM: dict[type, tuple[str, str]] = {
    TestMetric: ("metric", "case"),
    TestBaseline: ("baseline", "recipe"),
    TestDataset: ("dataset", "name"),
    TestSampler: ("sampler", "sampler"),
    TestExtractor: ("extractor", "named"),
}
"""The kind of part, and the fixture that is made from its name."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each contract once for every part of its kind."""
    assert metafunc.cls is not None
    kind, fixture = MADE_FROM[metafunc.cls]
    names: list[str] = []
    with suppress(GenbenchError):  # conftest.py says what is wrong, once and not for every contract
        names = chosen_parts(metafunc.config.getoption("--genbench-part"))[kind]
    metafunc.parametrize(fixture, names, indirect=True)
