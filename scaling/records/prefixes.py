"""Paths of checkpoints, which are addressed by the prefix of the training.

    <outputs>/checkpoints/<family_id>/<step>-<prefix_id>.pt            pinned: a branch point or end
    <outputs>/checkpoints/<family_id>/<step>-<prefix_id>.<run_id>.pt   a run's latest, replaced

One in parts has the suffix .json (``scalinglab.scaling.records.parts``).

Any run may start from any checkpoint whose prefix is its own: resuming after a kill, branching a
cooldown off a trunk and extending a finished run are the same look-up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.identity import family_id, prefix_id, total_steps

SUFFIXES = (".pt", ".json")  # suffixes of a checkpoint in one file and of one in parts


def checkpoint_name(science: Mapping[str, Any], step: int) -> str:
    """FAMILY/STEP-PREFIX, the address of a checkpoint."""
    return f"{family_id(science)}/{step:08d}-{prefix_id(science, step)}"


def checkpoint_path(outputs: Path, science: Mapping[str, Any], step: int, owner: str = "") -> Path:
    """The path of the checkpoint of a science at a step; pinned unless it has an owner."""
    name = checkpoint_name(science, step)
    return outputs / "checkpoints" / (f"{name}.{owner}.pt" if owner else f"{name}.pt")


def owner_of(checkpoint: Path) -> str:
    """The run whose latest a checkpoint is; empty if it is pinned."""
    return checkpoint.stem.partition(".")[2]


def stored_checkpoints(outputs: Path, science: Mapping[str, Any]) -> list[tuple[int, Path]]:
    """Existing checkpoints of prefixes of a run, the furthest first: (step, path)."""
    checkpoints, last = [], total_steps(science)
    for path in (outputs / "checkpoints" / family_id(science)).glob("[0-9]*"):
        if path.suffix not in SUFFIXES:
            continue
        step, _, prefix = path.name.split(".")[0].partition("-")
        if int(step) <= last and prefix_id(science, int(step)) == prefix:
            checkpoints.append((int(step), path))
    return sorted(checkpoints, reverse=True)


def no_checkpoint(outputs: Path, run_id: str, science: Mapping[str, Any], step: int) -> str:
    """The sentence for a step without a checkpoint; it lists the steps that have one."""
    steps = sorted({at for at, _ in stored_checkpoints(outputs, science)})
    return (
        f"run {run_id} has no readable checkpoint of step {step}; there are: "
        f"{', '.join(map(str, steps)) or 'none'}"
    )
