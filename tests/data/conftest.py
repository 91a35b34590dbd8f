"""What tests of data share."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

import pytest


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose every request fails, without one being sent."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
