"""Folders of tables, one a run, and of Hugging Face's Trainer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from scalinglab.analysis.importers.formats.beside import NAMES, facts_beside
from scalinglab.analysis.importers.formats.raw import BadRun, Raw
from scalinglab.analysis.importers.formats.registry import FORMATS, Request, files_below, register
from scalinglab.scaling.errors import UserError

_STATE = "trainer_state.json"


@register(
    f"{_STATE} of Hugging Face's Trainer", lambda folder: bool(_states(folder)), of_folders=True
)
def read_trainer_states(folder: Path, request: Request) -> list[Raw]:
    """One table a run: of its checkpoints' states the last, which holds those before it."""
    runs: dict[Path, tuple[float, Path]] = {}
    for path in _states(folder):
        checkpoint = path.parent.name.startswith("checkpoint-")
        run = path.parent.parent if checkpoint else path.parent
        runs[run] = max(runs.get(run, (-1.0, path)), (_reached(path), path))
    return read_each([path for _, path in runs.values()], request)


def _states(folder: Path) -> list[Path]:
    return [p for p in files_below(folder) if p.name == _STATE]


def _reached(path: Path) -> float:
    try:
        return float(json.loads(path.read_text(encoding="utf-8")).get("global_step", 0))
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, TypeError, ValueError):
        return -1.0  # reading it says why


def _tables(folder: Path) -> list[Path]:
    """Files of a folder that are tables; where it has none, those of its subfolders."""
    files = [
        f
        for f in files_below(folder)
        if f.name not in NAMES and any(kind.sniff(f) for kind in FORMATS if not kind.of_folders)
    ]
    return [f for f in files if f.parent == folder] or files


@register("tables", lambda folder: bool(_tables(folder)), of_folders=True)
def read_folder(folder: Path, request: Request) -> list[Raw]:
    """Every table of a folder."""
    return read_each(_tables(folder), request)


def read_each(paths: list[Path], request: Request) -> list[Raw]:
    """Tables of several files; one that cannot be read leaves itself out, named.

    Raises
    ------
    BadRun
        If none of several files can be read: the first reason.
    """
    raws, bad = [], []
    for path in paths:
        kind = next(k for k in FORMATS if not k.of_folders and k.sniff(path))
        try:
            tables = kind.read(path, request)
        except UserError as error:
            bad.append(str(error))
            continue
        is_only = sum(p.parent == path.parent for p in paths) == 1
        facts = facts_beside(path.parent) if is_only else {}
        raws += [replace(raw, facts={**facts, **raw.facts}) for raw in tables]
    if not raws:
        raise BadRun(bad[0])
    notes = tuple(f"left out: {reason}" for reason in bad)
    return [replace(raws[0], notes=(*raws[0].notes, *notes)), *raws[1:]]
