"""A baseline that never comes to an end."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.training.own_baseline import Bell, BellTrainer


@dataclass(frozen=True, kw_only=True)
class Hanging(Bell):
    """Sleeps at its first update."""

    def build(self, event_shape, *, device, steps):  # type: ignore[no-untyped-def]
        """Make the trainer."""
        return HangingTrainer(self.lr, event_shape, device)


class HangingTrainer(BellTrainer):
    """A `BellTrainer` that makes no progress."""

    def step(self, batch):  # type: ignore[no-untyped-def]
        """Wait for ten minutes."""
        time.sleep(600)
        return super().step(batch)
