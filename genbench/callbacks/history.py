"""The records of one training in the order of their steps, and which of them is the best beyond noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from genbench.display import html_note, html_table, interval, markdown_table, number
from genbench.errors import UsageError
from genbench.estimates import ARROWS, Score
from genbench.records import FRAME_COLUMNS, Run
from genbench.tables.cells import Cell
from genbench.tables.ranking import Side, difference, side_of


class History(Sequence[Run]):
    """Records along a training: a sequence of `genbench.Run`, which a notebook shows as a table.

    Parameters
    ----------
    primary : str
        Key of the metric that decides what is best.
    """

    def __init__(self, primary: str) -> None:
        self.primary = primary
        self._runs: list[Run] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __getitem__(self, index: Any) -> Any:
        return self._runs[index]

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    @property
    def best(self) -> Run | None:
        """The first record that no later one beats beyond noise; None where none has a score.

        A later record takes the place of the best so far if the interval at 95% of their difference leaves out zero:
        of debiased scores where there are such, by the group jackknife, which both share the reference of (see
        `genbench.tables.ranking.difference`). A score without an error counts as exact.
        """
        best, held = None, None
        for run in self._runs:
            score = self.score_of(run)
            side = None if score is None else side_of(Cell(run.sampler, (score,), failed=0), score.better)
            if score is not None and side is not None and (held is None or _beats(side, held, score)):
                best, held = run, side
        return best

    def score_of(self, run: Run) -> Score | None:
        """Return a record's score of the primary metric, or None where it has none."""
        try:
            score = run.score(self.primary)
        except UsageError:
            return None
        return None if score.estimate is None else score

    def add(self, run: Run) -> None:
        """Append a record; those of its step or later ones are of a training that was taken back, and go."""
        self._runs = [old for old in self._runs if (old.step or 0) < (run.step or 0)] + [run]

    def to_frame(self) -> pd.DataFrame:
        """Return all scores as one tidy table, in the columns of `genbench.Run.to_frame`."""
        frames = [run.to_frame() for run in self._runs]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(FRAME_COLUMNS))

    def state_dict(self) -> dict[str, list[str]]:
        """Return the records as JSON, for a checkpoint of the training."""
        return {"runs": [run.to_json() for run in self._runs]}

    def load_state_dict(self, state: Mapping[str, Sequence[str]]) -> None:
        """Take up the records that `state_dict` returned."""
        self._runs = [Run.from_json(text) for text in state["runs"]]

    def __repr__(self) -> str:
        best = self.best
        score = None if best is None else self.score_of(best)
        said = f"; best at step {best.step}: {score.brief}" if best and score else ""
        return f"<History of {self.primary}: {len(self._runs)} records{said}>"

    def __str__(self) -> str:
        header, rows, _ = self._cells()
        return markdown_table(header, rows)

    def _repr_html_(self) -> str:
        header, rows, failures = self._cells()
        return "\n".join([html_note(repr(self).strip("<>")), html_table(header, rows, failures=failures)])

    def _cells(self) -> tuple[list[str], list[list[str]], list[str | None]]:
        best, better = self.best, {s.better for s in map(self.score_of, self._runs) if s is not None}
        arrow = f" {ARROWS[better.pop()]}" if better else ""
        rows: list[list[str]] = []
        failures: list[str | None] = []
        for run in self._runs:
            score = self.score_of(run)
            e = None if score is None else score.estimate
            if e is None:
                rows.append([str(run.step), "failed", "–", "–", "–", "–"])
                failures.append(self._reason(run))
                continue
            cells = [number(e.value), number(e.debiased), interval(e.low, e.high), number(e.null)]
            rows.append([str(run.step), *cells, "best" if run is best else ""])
            failures.append(None)
        return ["step", f"{self.primary}{arrow}", "debiased", "95% interval", "real data", ""], rows, failures

    def _reason(self, run: Run) -> str:
        failed = [s.failure for s in run.scores if s.key == self.primary and s.failure]
        return run.failure or next(iter(failed), f"no score of {self.primary}")


def _beats(side: Side, held: Side, score: Score) -> bool:
    found, _ = difference(side, held)
    return found.sign == (1 if score.better == "higher" else -1)
