"""Where the time of scoring went, of the records that know it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from genbench.records import Run

TIMING_COLUMNS = ["part", "seconds", "share", "records"]


def timings(runs: Sequence[Run]) -> pd.DataFrame:
    """Sum the seconds of every part over the records that were made with ``--profile``; the longest first.

    Returns
    -------
    DataFrame
        Columns `TIMING_COLUMNS`; ``share`` is of all that was timed, ``records`` how many have that part. Parts do not
        overlap. Times depend on the machine; no score does.
    """
    rows = [(part, seconds) for run in runs for part, seconds in run.profile.items()]
    table = pd.DataFrame(rows, columns=["part", "seconds"])
    found = table.groupby("part", sort=False)["seconds"].agg(seconds="sum", records="count").reset_index()
    found["share"] = found["seconds"] / max(float(found["seconds"].sum()), 1e-9)
    return found.sort_values("seconds", ascending=False, ignore_index=True)[TIMING_COLUMNS]
