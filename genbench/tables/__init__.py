"""Records in, tables out: leaderboard, scores, stability, generalization, learning curves.

A failed run is counted; it is never averaged and never ranked. Controls (`genbench.controls`) stand below the models
and are not ranked either.
"""

from genbench.tables.bands import learning_curves
from genbench.tables.cells import CONTROLS, controls_of, final_cells, is_control
from genbench.tables.comparisons import comparisons, profiles
from genbench.tables.curves import curves, verdicts
from genbench.tables.generalization import generalization
from genbench.tables.ladder import ladder
from genbench.tables.leaderboard import leaderboard, primary_order
from genbench.tables.memorization import memorization
from genbench.tables.scores import scores
from genbench.tables.sensitivity import sensitivity
from genbench.tables.stability import stability
from genbench.tables.timings import timings

__all__ = [
    "CONTROLS",
    "comparisons",
    "controls_of",
    "curves",
    "final_cells",
    "generalization",
    "is_control",
    "ladder",
    "leaderboard",
    "learning_curves",
    "memorization",
    "primary_order",
    "profiles",
    "scores",
    "sensitivity",
    "stability",
    "timings",
    "verdicts",
]
