"""The settings that distinguish the runs of a study, beside the columns of every table of runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

# Settings with columns of their own, such as N and D; and keys that are no property of a run.
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

    It names words first, then numbers that the study varies, then others. Left out is a setting
    that follows from those named and shown before it, as a warm-up that follows from the tokens.

    Parameters
    ----------
    settings : sequence of mapping
        The settings of each run, by dotted key.
    table_columns : sequence of hashable
        What the table's columns show of each run.
    set_keys : collection of str
        Dotted keys of the study's axes.
    """
    keys = [
        key
        for key in dict.fromkeys(k for run_settings in settings for k in run_settings)
        if _may_be_named(key)
    ]
    columns = {
        key: [_comparable(run_settings.get(key)) for run_settings in settings] for key in keys
    }
    columns = {key: column for key, column in columns.items() if len(set(column)) > 1}
    words = [
        key
        for key in columns
        if any(isinstance(run_settings.get(key), str | bool) for run_settings in settings)
    ]
    words.sort(key=lambda key: not _chooses(key))
    shown_columns: list[Sequence[Hashable]] = [
        [run_settings.get("schedule.kind") for run_settings in settings]
    ]
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
        " ".join(
            f"{labels[key]}={_text(run_settings[key])}" for key in named if key in run_settings
        )
        for run_settings in settings
    ]


def settings_in(varies: str) -> dict[str, str]:
    """The varying settings of one run by their names: ``{"optimizer": "muon"}``."""
    return {m["name"]: m["value"] for m in _SETTING.finditer(varies)}


def _comparable(value: Any) -> str:
    """A value for comparisons: in a table an empty word looks like a key that a run lacks."""
    return repr(None if value == "" else value)


def _may_be_named(key: str) -> bool:
    return key not in SHOWN and not key.startswith(_NOT_OF_A_RUN)


def _follows(column: Sequence[str], columns: Sequence[Sequence[Hashable]]) -> bool:
    """Whether rows that are equal in `columns` are equal in `column`."""
    value_of: dict[Hashable, str] = {}
    rows = zip(*columns, strict=True)
    return all(
        value_of.setdefault(r, value) == value for r, value in zip(rows, column, strict=True)
    )


def _chooses(key: str) -> bool:
    """Whether a key chooses what its group is, as ``optimizer.name`` does."""
    return key in _CHOOSERS or key.rpartition(".")[2] in _CHOOSERS


def _labels(keys: Sequence[str]) -> dict[str, str]:
    """Short names: ``optimizer`` for ``optimizer.name``, ``loops`` for ``model.loops``."""
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
