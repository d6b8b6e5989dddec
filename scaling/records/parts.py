"""Checkpoints in parts: a file for each rank, and a manifest that is created last.

    <step>-<prefix_id>[.<run_id>].json                   the manifest
    <step>-<prefix_id>[.<run_id>].<token>.<rank>.part    the tensors of a rank

Each checkpoint has a new random token, so that a part which a manifest names is never overwritten.
Parts that no manifest names are leftovers of killed processes.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from scalinglab.scaling.records.atomic import read_json, write_json


def new_parts(checkpoint: Path, ranks: int) -> list[Path]:
    """Paths for the parts of a new checkpoint, one for each rank."""
    token = secrets.token_hex(4)
    return [checkpoint.with_suffix(f".{token}.{rank}.part") for rank in range(ranks)]


def write_manifest(checkpoint: Path, parts: list[Path]) -> Path:
    """Write the manifest that completes a checkpoint; returns its path."""
    path = checkpoint.with_suffix(".json")
    write_json(path, {"parts": [part.name for part in parts]})
    return path


def parts_of(checkpoint: Path) -> list[Path]:
    """The parts of a checkpoint; empty if it is a single file, or damaged.

    Raises
    ------
    FileNotFoundError
        If there is no such checkpoint.
    """
    if checkpoint.suffix != ".json":
        return []
    try:
        return [checkpoint.with_name(n) for n in read_json(checkpoint, {"parts": list})["parts"]]
    except (ValueError, TypeError):
        return []


def remove_checkpoint(checkpoint: Path) -> bool:
    """Remove a checkpoint, its manifest first; False if there was none."""
    try:
        parts = parts_of(checkpoint)
        checkpoint.unlink()
    except FileNotFoundError:
        return False
    for part in parts:
        part.unlink(missing_ok=True)
    return True
