"""The state of a trainer, which is that of its parts."""

from __future__ import annotations

from typing import Any, ClassVar


class Parts:
    """A trainer that resumes exactly from the states of some of its attributes.

    Attributes
    ----------
    parts : tuple of str
        Their names: networks, averages and optimizers.
    """

    parts: ClassVar[tuple[str, ...]] = ("network", "ema", "optimizer")

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {name: getattr(self, name).state_dict() for name in self.parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly from what `state_dict` returned."""
        for name in self.parts:
            getattr(self, name).load_state_dict(state[name])
