"""Every record as one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from genbench.records import Run


def to_jsonl(runs: Iterable[Run]) -> str:
    """Return the records as JSON lines, those along training too; `genbench.records.Run.from_json` reads each line."""
    documents = (json.loads(run.to_json()) for run in runs)
    return "".join(json.dumps(d, sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n" for d in documents)
