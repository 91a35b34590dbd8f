"""Any table as HTML needs it: readable heads, rounded numbers, keys to sort by; new columns need no work here."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from genbench.markdown import number
from genbench.records import ARROWS

HIDDEN = {"benchmark", "quick", "metric", "split", "unit", "better", "sentence", "control"}
"""Columns that are not shown as such: they are the same all over, make the groups, or stand below as sentences."""

HEADS = {
    "test": "held-out",
    "cv": "sd / mean",
    "sd": "sd over seeds",
    "sampling_std_error": "sampling s.e.",
    "n_generated": "n generated",
    "n_reference": "n reference",
    "null": "real data",
    "failed_low": "share failed",
    "low": "95% interval",
    "p_value": "p",
    "iqm": "IQM",
    "cvar": "CVaR",
    "aulc": "AULC",
}
"""Heads of columns whose names do not read as words."""


@dataclass(frozen=True, slots=True)
class Column:
    """A head, and which way a click on it sorts first."""

    head: str
    first: str = "ascending"
    about: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One cell: its text and what it is sorted by, empty where it is missing, None where the text is the key."""

    text: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One model's cells; controls stand below models however a table is sorted."""

    name: str
    fields: tuple[Field, ...]
    control: bool = False
    sentence: str = ""


@dataclass(slots=True)
class Group:
    """The rows under one metric, and the sentences that say what they mean; without a metric there is one group."""

    key: str
    label: str
    rows: list[Row] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table in groups that share their columns."""

    columns: list[Column]
    groups: list[Group]


def sort_key(value: Any) -> str:
    """Return a number as text to sort by; empty where it is missing, which always comes last."""
    return "" if value is None or pd.isna(value) else f"{float(value):.6g}"


def head_of(column: str) -> str:
    """Return a column's name in words."""
    return HEADS.get(column, column.replace("_", " "))


def without_fingerprint(metric: str) -> str:
    """Return ``fd@digits-cnn.pool`` for ``fd@digits-cnn#1a2b3c4d5e6f.pool``."""
    before, hash_sign, rest = metric.partition("#")
    return before + "." + rest.partition(".")[2] if hash_sign else metric


def sheet_of(frame: pd.DataFrame, order: Iterable[str], controls: Collection[str], *, first: str = "") -> Sheet:
    """Turn a table of `genbench.tables` into what the page shows.

    Parameters
    ----------
    frame : DataFrame
        One row a model, or one a metric and model. Rows against training data are left out where a column ``split``
        tells them. A column ``sentence`` becomes sentences below the table.
    order : iterable of str
        The models as they are to stand; others follow by name.
    controls : collection of str
        Which of them are controls.
    first : str
        The metric whose group comes first, ``fd@digits-cnn.pool``.
    """
    places = {name: i for i, name in enumerate(order)}
    if "split" in frame:
        frame = frame[frame["split"] != "train"]
    shown = [c for c in frame.columns if c not in HIDDEN and not (frame[c].isna() | (frame[c] == "")).all()]
    shown = [c for c in shown if not _is_upper(c, shown)]
    shown = ["model", *(c for c in shown if c != "model")] if "model" in shown else shown
    groups: dict[str, Group] = {}
    for row in frame.to_dict("records"):
        key = without_fingerprint(str(row.get("metric", "")))
        group = groups.setdefault(key, Group(key, _label(key, row)))
        name = str(row.get("model", ""))
        said = row.get("sentence")
        sentence = _named(name, said) if isinstance(said, str) and said else ""
        group.rows.append(Row(name, tuple(_field(row, c) for c in shown), name in controls, sentence))
    for group in groups.values():
        group.rows.sort(key=lambda r: (r.control, places.get(r.name, len(places)), r.name))
        group.sentences = list(dict.fromkeys(row.sentence for row in group.rows if row.sentence))
    ordered = sorted(groups.values(), key=lambda g: g.key != first)
    return Sheet([Column(head_of(_stem(c))) for c in shown], ordered)


def _named(name: str, sentence: str) -> str:
    """Return a sentence that says which model it is about."""
    return sentence if sentence.startswith(name) else f"{name}: {sentence}"


def _label(key: str, row: Mapping[Hashable, Any]) -> str:
    arrow = ARROWS.get(str(row.get("better")), "")
    unit = str(row.get("unit") or "")
    return f"{key} {arrow}".strip() + (f", {unit}" if unit else "")


def _is_upper(column: str, columns: Collection[str]) -> bool:
    """Whether a column is the upper end of an interval, which is shown with the lower one."""
    return column.endswith("high") and column[: -len("high")] + "low" in columns


def _stem(column: str) -> str:
    """Return what an interval is of: ``regret_low`` is of the regret."""
    if column in HEADS or not column.endswith("_low"):
        return column
    return column.removesuffix("_low") + " 95% interval"


def _field(row: Mapping[Hashable, Any], column: str) -> Field:
    value = row[column]
    upper = column[: -len("low")] + "high" if column.endswith("low") else ""
    if upper in row:
        text = "–" if pd.isna(value) else f"[{number(value)}, {number(row[upper])}]"
        return Field(text, sort_key(value))
    if value is None or value == "" or (not isinstance(value, (str, tuple, list)) and pd.isna(value)):
        return Field("–", "")
    if isinstance(value, bool):
        return Field("yes" if value else "no")
    if isinstance(value, (int, float)):
        return Field(number(value), sort_key(value))
    return Field(str(value))
