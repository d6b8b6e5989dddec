"""Imported runs stored as a study, which `scalinglab.analysis.tables.imported` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.analysis.default_laws import CURVE_LAW, LAW
from scalinglab.analysis.importers.assemble import Imported, fittable
from scalinglab.analysis.laws.registry import read_as
from scalinglab.analysis.tables.condition import rows_that_meet
from scalinglab.analysis.tables.exclusion import unfinished
from scalinglab.analysis.tables.imported import IMPORT_VERSION, MANIFEST
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import save_atomic, write_json
from scalinglab.scaling.records.run_end import file_hash
from scalinglab.scaling.records.state import State
from scalinglab.scaling.records.study_name import check_study_name
from scalinglab.scaling.text.conditions import ConditionError


def save_study(
    imported: Imported,
    outputs: str | Path,
    name: str,
    *,
    sources: Sequence[str | Path] = (),
    held_out: str | None = None,
    question: str = "",
    answer: Mapping[str, Any] | None = None,
) -> Path:
    """Store imported runs as a study; one that was imported under this name before is replaced.

    Parameters
    ----------
    imported : Imported
    outputs, name
        Where studies lie, and what this one is called.
    sources : sequence of path
        Files that it was read from: their hashes are kept.
    held_out : str, optional
        A condition on the columns (``"N > 1e9"``, `scalinglab.scaling.text.conditions`): runs that
        meet it are predicted, not fitted.
    question : str
    answer : mapping, optional
        ``law, budgets, curve_law, curve_held_out``, as a study's YAML has them.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    UserError
        If a planned study has the name, the name cannot be a folder's, no law has the name that the
        study asks for, or the condition cannot be read.
    """
    check_study_name("to", name)
    answers = {
        "law": LAW,
        "budgets": [],
        "curve_law": CURVE_LAW,
        "curve_held_out": None,
        **(answer or {}),
    }
    for law in (answers["law"], answers["curve_law"]):
        read_as(law)
    folder = Path(outputs) / "studies" / name
    if (folder / "plan.json").exists():
        raise UserError(f"to = {name!r}: a planned study is called so; choose another name")
    runs = imported.runs.assign(study=name, role=_roles(imported, held_out))
    (folder / "imported").mkdir(parents=True, exist_ok=True)
    paths = [folder / "imported" / f"{name}.parquet" for name in ("runs", "curves")]
    for table, path in zip((runs, imported.curves), paths, strict=True):
        save_atomic(path, partial(table.to_parquet, index=False))
    files = [f for s in map(Path, sources) for f in ([s] if s.is_file() else sorted(s.rglob("*")))]
    write_json(
        folder / MANIFEST,
        {
            "import_version": IMPORT_VERSION,
            "study": {"name": name, "question": question, "answer": answers},
            "sources": {f.name: file_hash(f) for f in files if f.is_file()},
            "tables": {path.name: file_hash(path) for path in paths},
            "notes": list(imported.notes),
            "cautions": list(imported.cautions),
            "runs": [],
        },
    )
    return folder


def _roles(imported: Imported, held_out: str | None) -> list[str]:
    runs = imported.runs
    good = ((runs["status"] == State.DONE) & fittable(runs)).to_numpy() & ~unfinished(runs)
    is_held_out = np.zeros(len(runs), bool)
    if held_out is not None:
        try:
            is_held_out = rows_that_meet(runs, held_out)
        except ConditionError as error:
            raise UserError(f"held_out = {error}") from None
        if not is_held_out.any():
            raise UserError(f"held_out = {held_out!r} chooses none of {len(runs)} runs")
    curved = set()
    if {"lr", "loss"} <= set(imported.curves):
        measured = imported.curves.dropna(subset=["lr", "loss"])
        curved = set(measured["run"])
    roles = []
    for run, ok, is_out in zip(runs["run_id"], good, is_held_out, strict=True):
        words = [("held_out" if is_out else "fit")] if ok or is_out else []
        roles.append(",".join(words + (["curve"] if run in curved else [])))
    return roles
