"""Folders of Lightning's CSVLogger: ``NAME/version_0/metrics.csv`` beside ``hparams.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.importers.raw import Raw, read_file


def read_csv_logs(folder: Path) -> list[Raw]:
    """One raw table for each run; empty if there is none.

    A version with the hyper-parameters of the one before that does not begin at the beginning is
    its continuation: a later attempt at the same run.
    """
    found = sorted(folder.rglob("metrics.csv"), key=lambda p: (str(p.parent.parent), _number(p)))
    runs: list[tuple[Raw, dict[str, Any]]] = []
    for path in found:
        facts = _hparams(path.parent / "hparams.yaml")
        raw = replace(read_file(path), name=_name(folder, path))
        if runs and facts and facts == runs[-1][1] and _goes_on(runs[-1][0], raw):
            runs[-1] = (_continued(runs[-1][0], raw), facts)
        else:
            runs.append((raw, facts))
    return [replace(raw, facts={**facts, "run": raw.name}) for raw, facts in runs]


def _number(path: Path) -> int:
    digits = path.parent.name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1


def _name(folder: Path, path: Path) -> str:
    return path.parent.relative_to(folder.parent).as_posix()


def _first(raw: Raw) -> float:
    return float(pd.to_numeric(raw.frame.get("step", pd.Series([0.0])), errors="coerce").min())


def _goes_on(before: Raw, after: Raw) -> bool:
    return _first(after) > _first(before)


def _continued(before: Raw, after: Raw) -> Raw:
    frame = pd.concat([before.frame, after.frame], ignore_index=True)
    note = f"{after.name} goes on with {before.name}: one run"
    return replace(before, frame=frame.where(frame.notna(), ""), notes=(*before.notes, note))


def _hparams(path: Path) -> dict[str, Any]:
    """Plain values of a configuration; objects of Python in it are not built."""
    if not path.is_file():
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        return {}
    return dict(_flat(content, "")) if isinstance(content, dict) else {}


def _flat(node: dict[Any, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict):
            yield from _flat(value, name)
        elif isinstance(value, str | int | float | bool):
            yield name, value
