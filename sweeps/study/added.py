"""Blocks that were added to a study after its file was written: part of every later plan.

<outputs>/studies/<name>/added.json     {block: {role, grid}}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import check_shape
from scalinglab.sweeps.study.expand import BlockConfig


def read_added(outputs: Path, study: str) -> dict[str, Any]:
    """The blocks that were added to a study."""
    path = _file(outputs, study)
    if not path.exists():
        return {}
    added = read_json(path, {})
    for name in added:
        check_shape(path, added, {name: {"role": str, "grid": dict}})
    return added


def with_added(composed: Mapping[str, Any]) -> dict[str, Any]:
    """A composed configuration whose study has the blocks that were added to it.

    Raises
    ------
    ConfigError
        If the study's file has another block of that name.
    """
    study = composed.get("study")
    if not isinstance(study, dict) or "name" not in study:
        return dict(composed)
    added = read_added(Path(composed["outputs"]).absolute(), str(study["name"]))
    blocks = study.get("blocks") or {}
    if not isinstance(blocks, dict):
        raise ConfigError(f"study.blocks = {blocks!r}: expected a group of keys")
    for name in set(added) & set(blocks):
        if added[name] != blocks[name]:
            raise ConfigError(
                f"study.blocks.{name} is in the study's file and was added to it as well; rename "
                f"one (added: {added[name]})"
            )
    return {**composed, "study": study | {"blocks": {**blocks, **added}}}


def add_block(outputs: Path, study: str, name: str, block: BlockConfig) -> None:
    """Store a block beside the study's plan; an equal one may be added again."""
    write_json(_file(outputs, study), read_added(outputs, study) | {name: asdict(block)})


def _file(outputs: Path, study: str) -> Path:
    return outputs / "studies" / study / "added.json"
