"""Folders of Lightning's CSVLogger: ``NAME/version_0/metrics.csv`` beside ``hparams.yaml``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.importers.formats.beside import facts_beside
from scalinglab.analysis.importers.formats.delimited import read_delimited
from scalinglab.analysis.importers.formats.raw import BadRun, Raw
from scalinglab.analysis.importers.formats.registry import Request, files_below, register
from scalinglab.scaling.errors import UserError


def _found(folder: Path) -> list[Path]:
    files = [p for p in files_below(folder) if p.name == "metrics.csv"]
    return sorted(files, key=lambda p: (str(p.parent.parent), _number(p)))


@register("metrics.csv of Lightning", lambda folder: bool(_found(folder)), of_folders=True)
def read_csv_logs(folder: Path, request: Request) -> list[Raw]:
    """One raw table for each run.

    A version with the hyper-parameters of the one before that does not begin at the beginning is
    its continuation: a later attempt at the same run.
    """
    runs: list[tuple[Raw, dict[str, Any]]] = []
    for path in _found(folder):
        facts = facts_beside(path.parent)
        try:
            (raw,) = read_delimited(path, request)
        except UserError as error:
            raw = Raw(pd.DataFrame(), str(error), path=path)
        raw = replace(raw, name=_name(folder, path) if len(raw.frame) else raw.name, one_run=True)
        if runs and facts and facts == runs[-1][1] and _goes_on(runs[-1][0], raw):
            runs[-1] = (_continued(runs[-1][0], raw), facts)
        else:
            runs.append((raw, facts))
    return _readable([replace(raw, facts={**facts, "run": raw.name}) for raw, facts in runs])


def _readable(raws: list[Raw]) -> list[Raw]:
    """Without the runs whose file could not be read, which the first of the others names."""
    bad = [raw.name for raw in raws if raw.frame.empty]
    good = [raw for raw in raws if len(raw.frame)]
    if not good:
        raise BadRun(bad[0])
    notes = tuple(f"left out: {reason}" for reason in bad)
    return [replace(good[0], notes=(*good[0].notes, *notes)), *good[1:]]


def _number(path: Path) -> int:
    digits = path.parent.name.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else -1


def _name(folder: Path, path: Path) -> str:
    return path.absolute().parent.relative_to(folder.absolute().parent).as_posix()


def _first(raw: Raw) -> float:
    steps = raw.frame["step"] if "step" in raw.frame else pd.Series([0.0])
    return float(pd.to_numeric(steps, errors="coerce").min())


def _goes_on(before: Raw, after: Raw) -> bool:
    return _first(after) > _first(before)


def _continued(before: Raw, after: Raw) -> Raw:
    frame = pd.concat([before.frame, after.frame], ignore_index=True)
    note = f"{after.name} goes on with {before.name}: one run"
    return replace(
        before, frame=frame.where(frame.notna(), ""), rows=None, notes=(*before.notes, note)
    )
