"""A baseline whose process is killed in the middle of its training: once, or always."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.training.own_baseline import Bell, BellTrainer


@dataclass(frozen=True, kw_only=True)
class Dying(Bell):
    """Kills its own process at the first update where ``folder`` holds fewer than ``deaths`` marks."""

    folder: str = ""
    deaths: int = 1

    def build(self, event_shape, *, device, steps):  # type: ignore[no-untyped-def]
        """Make the trainer."""
        return DyingTrainer(self, event_shape, device)


class DyingTrainer(BellTrainer):
    """A `BellTrainer` that does not live long."""

    def __init__(self, recipe, event_shape, device) -> None:  # type: ignore[no-untyped-def]
        super().__init__(recipe.lr, event_shape, device)
        self.recipe = recipe

    def step(self, batch):  # type: ignore[no-untyped-def]
        """Update, or die."""
        folder = Path(self.recipe.folder)
        died = len(list(folder.iterdir()))
        if died < self.recipe.deaths:
            (folder / str(died)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(batch)
