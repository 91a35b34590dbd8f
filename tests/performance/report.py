"""Times the report of 10 models x 5 seeds x 20 checkpoints, and a sort of its leaderboard where there is a Chromium.

Run by ``python -m tests.performance.report``. Promised: 10 s to write, reading included; 5 MB; half a second a sort.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from genbench.report import write_report
from genbench.store import Store
from tests.chromium import Chromium, find_chromium
from tests.many_records import draw_grids, many_runs

SORTS = """Array.from({length: 5}, () => {
  const before = performance.now();
  document.querySelectorAll('.board th button')[2].click();
  document.body.getBoundingClientRect();
  return performance.now() - before;
})"""


def main() -> None:
    """Make the records, write the report, and print what it took."""
    with tempfile.TemporaryDirectory() as name:
        store, runs = Store(Path(name), "digits@1"), many_runs()
        for run in runs:
            path = store.path(run.sampler, run.train_seed, run.step)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(run.to_json(), encoding="utf-8")
        draw_grids(store.folder / "grids", runs)
        wall, processor = time.perf_counter(), time.process_time()
        page = write_report(store.folder)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{len(runs)} records: {wall:.2f} s ({processor:.2f} s of processor), {page.stat().st_size / 1e6:.2f} MB")
        program = find_chromium()
        if program is not None:
            browser = Chromium(program, Path(name) / "profile")
            try:
                browser.look(width=1200)
                browser.open(page.as_uri())
                print("sorts: " + ", ".join(f"{t:.0f} ms" for t in browser.evaluate(SORTS)))
            finally:
                browser.close()


if __name__ == "__main__":
    main()
