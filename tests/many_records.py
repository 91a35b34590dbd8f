"""Records of a large benchmark, made from one real record: for what must stay quick and small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from genbench.records import Run, Score

TEMPLATE = Path(__file__).resolve().parent.parent / "results" / "digits@1" / "records" / "gan"


def many_runs(*, models: int = 10, seeds: int = 5, stops: int = 20) -> list[Run]:
    """Make records with the scores of real ones, each moved a little: (models, seeds, stops) of them."""
    paths = sorted(TEMPLATE.glob("seed0-step*.json"))
    early, late = (Run.from_json(path.read_text(encoding="utf-8")) for path in (paths[0], paths[-1]))
    rng = np.random.default_rng(0)
    return [
        _moved(late if stop == stops else early, f"model-{model}", seed, stop, final=stop == stops, rng=rng)
        for model in range(models)
        for seed in range(seeds)
        for stop in range(1, stops + 1)
    ]


def _moved(run: Run, name: str, seed: int, stop: int, *, final: bool, rng: np.random.Generator) -> Run:
    scores = tuple(_scaled(score, float(rng.uniform(0.8, 1.25)) * (1 + 3 / stop)) for score in run.scores)
    cost = {"train_seconds": 3.0 * stop, "parameters": 50_000, "samples_per_second": float(rng.uniform(1e3, 1e5))}
    health = {"g_loss": float(rng.normal()), "d_loss": float(rng.normal()), "generator_grad_norm": 1.0}
    return replace(
        run, sampler=name, train_seed=seed, step=150 * stop, final=final, scores=scores, cost=cost, health=health
    )


def _scaled(score: Score, factor: float) -> Score:
    e = score.estimate
    if e is None:
        return score
    ends = {f: None if (x := getattr(e, f)) is None else x * factor for f in ("debiased", "low", "high", "std_error")}
    return replace(
        score,
        estimate=replace(e, value=e.value * factor, replicates=tuple(r * factor for r in e.replicates), **ends),
    )


def draw_grids(folder: Path, runs: Sequence[Run]) -> None:
    """Write pictures of noise, which no PNG makes small, 33 kB each: three for each final run, one of real data."""
    folder.mkdir(parents=True)
    for i, name in enumerate(_names(runs)):
        noise = np.random.default_rng(i).integers(0, 256, (128, 256), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{name}.png")


def _names(runs: Sequence[Run]) -> Iterator[str]:
    yield "real"
    for run in runs:
        if run.final:
            yield from (f"{run.sampler}-seed{run.train_seed}{kind}" for kind in ("", "-nearest", "-influence"))
