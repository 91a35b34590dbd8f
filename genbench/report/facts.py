"""What was run: enough for a stranger to run it again and to see whether it was the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from genbench.records import Run


def facts_of(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Return what the records say of how they were made, as names with one line for every distinct value."""
    finals = [run for run in runs if run.final]
    trained = sorted({run.train_seed for run in runs if run.train_seed is not None})
    outside = [run.sampler for run in finals if run.train_seed is None and "control" not in run.recipe]
    facts = [
        ("records", [f"{len(runs)}, of which {len(finals)} are of finished runs or samples from outside"]),
        ("training seeds", [", ".join(map(str, trained))] if trained else []),
        ("not trained here", [", ".join(sorted(outside))] if outside else []),
        ("samples", _distinct(runs, lambda run: sorted({str(s.n_generated) for s in run.scores}))),
        ("protocol", [f"sha256 {run}" for run in dict.fromkeys(run.protocol for run in runs)]),
        ("extractors", _extractors(runs)),
    ]
    facts += [(head, values) for head, values in _provenance(runs).items()]
    return [(head, values) for head, values in facts if values]


def _distinct(runs: Sequence[Run], read: Any) -> list[str]:
    return [", ".join(sorted({text for run in runs for text in read(run)}, key=lambda t: (len(t), t)))]


def _extractors(runs: Sequence[Run]) -> list[str]:
    found = {(s.space.rpartition(".")[0], s.fingerprint) for run in runs for s in run.scores}
    return [f"{name}, sha256 {digest}" for name, digest in sorted(found)]


def _provenance(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return every distinct value under every name, with the number of records where there is more than one."""
    counts: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in sorted(run.provenance.items()):
            if value is not None:
                counts.setdefault(name.replace("_", " "), Counter())[_text(value)] += 1
    return {
        name: [text + (f" ({n} records)" if len(found) > 1 else "") for text, n in found.most_common()]
        for name, found in counts.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in sorted(value.items()) if item is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    return str(value)


def recipes_of(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return how each model was trained, in words: updates, rows an update and the options given."""
    said: dict[str, str] = {}
    for run in runs:
        if run.sampler in names and run.recipe:
            parts = [f"{run.recipe[key]} {word}" for key, word in (("steps", "updates"), ("batch", "rows each"))
                     if key in run.recipe]  # fmt: skip
            options = run.recipe.get("overrides") or {}
            parts += [f"{key} = {value}" for key, value in sorted(options.items())]
            said.setdefault(run.sampler, ", ".join(parts))
    return [(name, said[name]) for name in names if said.get(name)]


def failures_of(runs: Sequence[Run]) -> list[tuple[str, str, str, str]]:
    """Return what failed: the sampler, its seed, the step, and the reason; single scores of finished runs too."""
    failed = []
    for run in runs:
        seed, step = ("–" if x is None else str(x) for x in (run.train_seed, run.step))
        if run.failure:
            failed.append((run.sampler, seed, step, run.failure))
        elif run.final:
            reasons: dict[str, list[str]] = {}
            for score in run.scores:
                if score.estimate is None:
                    reasons.setdefault(score.failure or "no reason given", []).append(
                        score.key + (f" against {score.split}" if score.split else "")
                    )
            failed += [(run.sampler, seed, step, f"{', '.join(keys)}: {why}") for why, keys in reasons.items()]
    return failed
