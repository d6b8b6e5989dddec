"""plan.json of a study: what several packages read of it, checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, check_shape, tell

_PLAN: Shape = {"plan_version": int, "study": {"name": str}, "execution": dict, "runs": list}
_RUN: Shape = {"run_id": str, "roles": list, "pins": list}


def read_plan_file(path: Path) -> dict[str, Any]:
    """The content of a plan.json.

    Raises
    ------
    DamagedFile
        If it is none, or another study's.
    """
    plan = read_json(path, _PLAN)
    for i, run in enumerate(plan["runs"]):
        check_shape(path, run, _RUN, f"runs[{i}]")
    if plan["study"]["name"] != path.parent.name:
        raise DamagedFile(path, f"it is the plan of the study {plan['study']['name']!r}")
    return plan


def plan_before(path: Path) -> dict[str, Any] | None:
    """The plan that another is about to replace; None if there is none, or it is damaged."""
    try:
        return read_plan_file(path)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        tell(error, "planned as if for the first time")
        return None


def stored_plans(outputs: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every study with its plan; of those that are damaged is told."""
    for path in sorted(outputs.glob("studies/*/plan.json")):
        try:
            yield path.parent.name, read_plan_file(path)
        except DamagedFile as error:
            tell(error, "its study is left out")
