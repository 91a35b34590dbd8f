"""Records in, tables out: leaderboard, stability, generalization.

A failed run is counted; it is never averaged and never ranked. Controls (`genbench.controls`) stand below the models
and are not ranked either.
"""

from genbench.tables.cells import CONTROLS, controls_of, final_cells, is_control
from genbench.tables.generalization import generalization
from genbench.tables.leaderboard import leaderboard, primary_order
from genbench.tables.stability import stability

__all__ = [
    "CONTROLS",
    "controls_of",
    "final_cells",
    "generalization",
    "is_control",
    "leaderboard",
    "primary_order",
    "stability",
]
