"""What ``pytest --pyargs genbench.testing`` refuses, and what it leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from genbench.errors import GenbenchError
from genbench.testing.parts import chosen_parts


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse a wrong or empty choice of parts with a sentence, and leave out the contracts of kinds that none is of.

    Those have an empty set of parameters, and pytest would report each of their tests as skipped.
    """
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    try:
        chosen_parts(config.getoption("--genbench-part"))
    except GenbenchError as error:
        if ours:
            raise pytest.UsageError(f"genbench: {error}") from None
    empty = {item for item in ours if any("empty parameter set" in str(m.kwargs) for m in item.iter_markers("skip"))}
    items[:] = [item for item in items if item not in empty]
