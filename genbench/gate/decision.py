"""The check itself: open both sides, refuse what must not be compared, look, and give a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from genbench.errors import SampleError, UsageError
from genbench.gate.advice import notes_on
from genbench.gate.baseline import Baseline, read_baseline, trimmed
from genbench.gate.candidate import Drawn, Recorded, open_candidate
from genbench.gate.compare import concludes, overall, pair, rows_of, unit_of
from genbench.gate.margins import parse_margins, resolve_keys
from genbench.gate.plan import LOOKS
from genbench.gate.result import Result, Row
from genbench.stats.noninferiority import ALPHA
from genbench.storage import Place, parse_place


def check(
    new: Any,
    against: Baseline | str | Place,
    *,
    primary: str | Sequence[str] = (),
    margin: str | Sequence[str] = (),
    alpha: float = ALPHA,
    looks: int = LOOKS,
    n: int | None = None,
    seed: int | None = None,
    unit: str = "auto",
    two_sided: bool = False,
    **source: Any,
) -> Result:
    """Test whether a generator is worse than a baseline by more than a margin.

    Parameters
    ----------
    new : object
        Anything that `genbench.score` scores; or records: a `Run` or several, the file of one, ``FOLDER:model``, or
        the file of another baseline.
    against : Baseline, str, Path or Remote
        A file that ``genbench check --update`` or `make_baseline` made.
    primary : str or sequence of str
        Metrics to gate on, of those that the baseline has; by default all of them. Several are tested under Holm.
    margin : str or sequence of str
        ``"fd:5%"``, ``"fd:0.3"``, or ``"5%"`` for every metric, in place of the baseline's own.
    alpha : float
        Chance of a false alarm of the whole check, in (0, 0.5).
    looks : int
        At most how often a generator is looked at: until there is a verdict, with twice the samples each time, at level
        ``alpha / looks`` each. A file or record is looked at once, at ``alpha``.
    n : int, optional
        Generated samples of the first look; by default as many as the baseline has.
    seed : int, optional
        Of the draw; by default the baseline's. The same seed makes a generator that did not change give the same
        samples, and one that changed little differ by little.
    unit : {"auto", "samples", "seeds"}
        What counts as a repeat.
    two_sided : bool
        Report an improvement by more than the margin as a finding too, each side at half of ``alpha``.
    **source
        What `genbench.score` needs to know of the generator: ``reference``, ``value_range``, ``latent``, ``device``...

    Returns
    -------
    Result

    Raises
    ------
    SampleError
        If a side has failed, or lacks a metric, or a number is not finite.
    ProtocolError
        If the baseline is damaged, or was made under another protocol.

    Notes
    -----
    For lower-is-better metrics a regression is reported where the lower one-sided bound of new minus baseline is above
    the margin, and a pass where the upper bound is below it; see `genbench.gate.compare.pair` for the errors.
    """
    if not 0 < alpha < 0.5 or looks < 1 or (n is not None and n < 1):
        raise UsageError("check: 0 < alpha < 0.5, looks >= 1 and n >= 1 expected; see genbench check --help.")
    path = "" if isinstance(against, Baseline) else str(against)
    baseline = against if isinstance(against, Baseline) else read_baseline(parse_place(against))
    keys = resolve_keys(_listed(primary), baseline.primary) or baseline.primary
    margins = {**baseline.margins, **parse_margins(_listed(margin), keys)}
    candidate = open_candidate(new, seed=baseline.seed if seed is None else seed, **_settings(baseline, source))
    candidate.check_protocol(baseline)
    kept = replace(baseline, runs=tuple(trimmed(run, keys, "the baseline") for run in baseline.runs))
    try:
        return look(candidate, kept, keys, margins, path, alpha, looks, n, unit, two_sided)
    finally:
        if isinstance(candidate, Drawn):
            candidate.source.close()


def look(
    candidate: Recorded | Drawn,
    baseline: Baseline,
    keys: Sequence[str],
    margins: Mapping[str, str],
    path: str,
    level: float,
    looks: int,
    n: int | None,
    unit: str,
    two_sided: bool,
) -> Result:
    """Look at a candidate until there is a verdict, or there were as many looks as may be.

    Arguments as of `check`; ``keys`` and ``margins`` are resolved, ``level`` is its ``alpha``.
    """
    n = baseline.n if n is None else n
    runs = candidate.runs(keys, n)
    by = unit_of(runs, baseline.runs, unit)
    pairs = [pair(baseline, runs, key, by) for key in keys]
    # Known before any difference is looked at: what draws no more, or has a bias that n changes, has one look.
    most = looks if candidate.endless and by == "samples" and all(p.debiased for p in pairs) else 1
    alpha = level / most / (2 if two_sided else 1)
    rows, times = rows_of(pairs, margins, alpha=alpha, two_sided=two_sided), 1
    while overall(rows) == "inconclusive" and times < most:
        runs = candidate.runs(keys, n * 2**times)
        pairs, times = [pair(baseline, runs, key, by) for key in keys], times + 1
        rows = rows_of(pairs, margins, alpha=alpha, two_sided=two_sided)
    found = Result(
        verdict=overall(rows),
        unit=by,
        benchmark=baseline.runs[0].benchmark,
        name_new=candidate.name,
        name_baseline=baseline.name,
        against=path,
        runs_new=len(runs),
        runs_baseline=len(baseline.runs),
        looks=times,
        most_looks=most,
        level=level,
        alpha=alpha,
        two_sided=two_sided,
        concludes=concludes(by, len(runs), len(baseline.runs)),
        rows=tuple(sorted(rows, key=_worst_first)),
        provenance={"baseline": baseline.runs[0].provenance, "new": runs[0].provenance},
    )
    return replace(found, notes=notes_on(found, baseline, endless=candidate.endless))


def _worst_first(row: Row) -> tuple[int, float]:
    order = ("regression", "improvement", "inconclusive", "pass")
    return order.index(row.verdict), row.p_regression


def make_baseline(
    new: Any,
    *,
    primary: str | Sequence[str] = (),
    margin: str | Sequence[str] = (),
    n: int | None = None,
    seed: int = 0,
    **source: Any,
) -> Baseline:
    """Score a generator, or take its records, as what later ones are held against.

    Parameters
    ----------
    new, primary, margin, n, seed, **source
        As of `check`; ``benchmark`` or ``reference`` says what samples are scored on. The primary metric is by default
        the benchmark's. More samples than a benchmark's own n make the gate sharper.

    Raises
    ------
    SampleError
        If a run has failed, or lacks a metric.
    """
    wanted = _listed(primary)
    candidate = open_candidate(
        new, metrics=wanted, seed=seed, n=n if source.get("benchmark") is None else None, **source
    )
    try:
        keys = resolve_keys(wanted, candidate.known()) or (candidate.primary(),)
        runs = candidate.runs(keys, n)
        made = Baseline(
            runs=tuple(trimmed(run, keys, "the new one") for run in runs),
            primary=keys,
            margins=parse_margins(_listed(margin), keys),
            noise=candidate.noise(keys),
            seed=seed,
            settings=candidate.settings(keys if wanted else ()),
        )
    finally:
        if isinstance(candidate, Drawn):
            candidate.source.close()
    for key in keys:
        pair(made, made.runs, key, unit_of(made.runs, made.runs, "auto"))  # refuses what could never be compared
    return made


def _settings(baseline: Baseline, source: Mapping[str, Any]) -> dict[str, Any]:
    """What a new generator is scored on: as the baseline says, but for what is given now."""
    known = {key: value for key, value in baseline.settings.items() if key != "endless"}
    if known.pop("held_out", False) and source.get("held_out") is None and not source.get("benchmark"):
        raise SampleError("check: the baseline was scored with held-out samples; pass --held-out as then.")
    if source.get("reference") is not None:
        known["benchmark"] = None
    elif known.get("benchmark") is not None or source.get("benchmark") is not None:
        known.pop("n", None)
    given = {key: value for key, value in source.items() if value is not None and value is not False}
    return {**known, **given}


def _listed(texts: str | Sequence[str]) -> list[str]:
    return [part for text in ([texts] if isinstance(texts, str) else texts) for part in text.split(",") if part]
