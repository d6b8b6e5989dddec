"""Whether the file of a study asks for another answer than the plan by which it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.own_groups import OWN, SHARED
from scalinglab.scaling.text.shell import override


def changed_answer(outputs: Path, study: str) -> str:
    """A sentence on answer options that the study's file changed after planning; empty if none.

    Only what the file itself says is compared, and only if it is younger than the plan: overrides
    of the launch are no change.
    """
    plan = outputs / "studies" / study / "plan.json"
    places = [Path.cwd() / folder / "study" / f"{study}.yaml" for folder in (OWN, SHARED)]
    file = next((place for place in places if place.is_file()), None)
    if file is None or not plan.is_file() or file.stat().st_mtime <= plan.stat().st_mtime:
        return ""
    import yaml  # slow to import, and few files are younger

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # scaling plan says what is wrong with it
        return ""
    planned = asdict(study_plan(outputs, study).study.answer)
    asked = _group(_group(content, "study"), "answer")
    changes = [
        f"{key}: {value}, planned was {planned[key]}"
        for key, value in asked.items()
        if key in planned and not _is_same(value, planned[key])
    ]
    if not changes:
        return ""
    return (
        f"{file.relative_to(Path.cwd())} asks for another answer since the study was planned"
        f" ({'; '.join(changes)}). This is the answer by the plan: scaling launch"
        f" {override('study', study)} takes over what the file says; finished runs are not"
        " retrained"
    )


def _group(content: Any, key: str) -> Mapping[str, Any]:
    group = content.get(key) if isinstance(content, Mapping) else None
    return group if isinstance(group, Mapping) else {}


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same; 1e12 and "1e12" are, as readers of YAML differ in it."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_same(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, str) and "${" in one:  # known once it is composed
        return True
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return bool(one == other)
