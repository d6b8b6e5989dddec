"""Checkpoints in parts: a file for each rank, and a manifest, created last, that makes them whole.

    <step>-<prefix_id>[.<run_id>].json                   the manifest
    <step>-<prefix_id>[.<run_id>].<token>.<rank>.part    what a rank held

A token is drawn for each saving, so no part that a manifest names is ever written over. What none
names is left over from a saving or a removal that was killed.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from scalinglab.scaling.records.atomic import read_json, write_json


def new_parts(checkpoint: Path, ranks: int) -> list[Path]:
    """Where the parts of a checkpoint shall lie that is saved now, one a rank."""
    token = secrets.token_hex(4)
    return [checkpoint.with_suffix(f".{token}.{rank}.part") for rank in range(ranks)]


def write_manifest(checkpoint: Path, parts: list[Path]) -> Path:
    """Write the manifest that turns stored parts into a checkpoint; its path."""
    path = checkpoint.with_suffix(".json")
    write_json(path, {"parts": [part.name for part in parts]})
    return path


def parts_of(checkpoint: Path) -> list[Path]:
    """The parts that a checkpoint names; none if it is one file, or damaged.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """
    if checkpoint.suffix != ".json":
        return []
    try:
        return [checkpoint.with_name(n) for n in read_json(checkpoint, {"parts": list})["parts"]]
    except (ValueError, TypeError):
        return []


def remove_checkpoint(checkpoint: Path) -> bool:
    """Remove a checkpoint; False if it was not there. The manifest goes first."""
    try:
        parts = parts_of(checkpoint)
        checkpoint.unlink()
    except FileNotFoundError:
        return False
    for part in parts:
        part.unlink(missing_ok=True)
    return True
