"""A marker file while a launcher plans, so that ``status --watch`` keeps waiting for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.planning import mark_planning, planners
from scalinglab.scaling.records.study_name import is_study_name
from scalinglab.sweeps.store.stored_plan import outputs_folder, study_folder


@contextlib.contextmanager
def announced(composed: Mapping[str, Any]) -> Iterator[None]:
    """Mark a composed study as being planned by this process; a refused launch leaves no folder.

    A configuration without a valid study name is not marked: the plan refuses it.
    """
    outputs = outputs_folder(composed["outputs"])
    study = composed.get("study")
    name = study.get("name") if isinstance(study, dict) else None
    if not isinstance(name, str) or not is_study_name(name):
        yield
        return
    folder = study_folder(outputs, name)
    new_folders = [path for path in (folder, folder.parent, outputs) if not path.exists()]
    file = mark_planning(folder)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is not empty: something was stored
            for path in new_folders:
                path.rmdir()


def is_announced(outputs: Path, study: str) -> bool:
    """Whether a launcher of a study is planning it, or launching what it planned."""
    return bool(planners(study_folder(outputs, study)))
