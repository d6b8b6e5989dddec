"""What tells the runs of a study apart beside the columns that every table of runs has."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

# Shown by columns of their own, N and D among them; and what is no property of a run.
SHOWN = ("model.width", "tokens", "optimizer.lr", "schedule.kind", "seed")
_NOT_OF_A_RUN = ("execution.", "rule.", "outputs")
_CHOOSERS = ("name", "kind", "source", "init_from.study", "init_from.block", "init_from.run")
_SETTING = re.compile(r"(?P<name>[\w.]+)=(?P<value>.*?)(?= [\w.]+=|$)")


def varying(
    settings: Sequence[Mapping[str, Any]],
    table_columns: Sequence[Hashable],
    set_keys: Collection[str] = (),
) -> list[str]:
    """For each of some runs, the settings in which they differ: ``optimizer=muon loops=2``.

    Named are words, then numbers that the study varies, then others that follow neither from these
    nor from what is shown: a warm-up that follows the tokens is not.

    Parameters
    ----------
    settings : sequence of mapping
        Of each run, by dotted key.
    table_columns : sequence of hashable
        What the columns show of each.
    set_keys : collection of str
        Dotted keys of the study's axes.
    """
    keys = [key for key in dict.fromkeys(k for one in settings for k in one) if _may_be_named(key)]
    columns = {key: [_told(one.get(key)) for one in settings] for key in keys}
    columns = {key: column for key, column in columns.items() if len(set(column)) > 1}
    words = [
        key for key in columns if any(isinstance(one.get(key), str | bool) for one in settings)
    ]
    words.sort(key=lambda key: not _chooses(key))
    shown_columns: list[Sequence[Hashable]] = [[one.get("schedule.kind") for one in settings]]
    named: list[str] = []

    def name(keys: Iterable[str]) -> None:
        for key in keys:
            if key not in named and not _follows(columns[key], shown_columns):
                named.append(key)
                shown_columns.append(columns[key])

    name(words)
    name(key for key in columns if key in set_keys)
    shown_columns.append(table_columns)
    name(key for key in columns if key not in words)
    labels = _labels(named)
    return [
        " ".join(f"{labels[key]}={_text(one[key])}" for key in named if key in one)
        for one in settings
    ]


def settings_in(varies: str) -> dict[str, str]:
    """What `varying` says of one run, by the names of the settings: ``{"optimizer": "muon"}``."""
    return {m["name"]: m["value"] for m in _SETTING.finditer(varies)}


def _told(value: Any) -> str:
    """A value as it tells runs apart: an empty word looks in a table as a key that a run lacks."""
    return repr(None if value == "" else value)


def _may_be_named(key: str) -> bool:
    return key not in SHOWN and not key.startswith(_NOT_OF_A_RUN)


def _follows(column: Sequence[str], columns: Sequence[Sequence[Hashable]]) -> bool:
    """Whether rows that are equal in what is known have one value."""
    value_of: dict[Hashable, str] = {}
    rows = zip(*columns, strict=True)
    return all(
        value_of.setdefault(r, value) == value for r, value in zip(rows, column, strict=True)
    )


def _chooses(key: str) -> bool:
    """Whether a key says what its group is."""
    return key in _CHOOSERS or key.rpartition(".")[2] in _CHOOSERS


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """Short names: of ``optimizer.name`` its group, of ``model.loops`` its end."""
    short = {}
    for key in keys:
        *groups, last = key.split(".")
        short[key] = groups[-1] if _chooses(key) and groups else last
    names = list(short.values())
    return {key: name if names.count(name) == 1 else key for key, name in short.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
