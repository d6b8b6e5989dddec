"""Where checkpoints lie: they are addressed by the prefix of a training that they hold.

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
from scalinglab.scaling.records.spec import RunSpec

SUFFIXES = (".pt", ".json")  # of a checkpoint in one file, and of one in parts


def checkpoint_path(outputs: Path, science: Mapping[str, Any], step: int, owner: str = "") -> Path:
    """Where the checkpoint of a science at a step belongs; pinned unless it has an owner."""
    name = f"{step:08d}-{prefix_id(science, step)}"
    name += f".{owner}.pt" if owner else ".pt"
    return outputs / "checkpoints" / family_id(science) / name


def owner_of(checkpoint: Path) -> str:
    """The run whose latest a checkpoint is; empty if it is pinned."""
    return checkpoint.stem.partition(".")[2]


def candidates(outputs: Path, science: Mapping[str, Any]) -> list[tuple[int, Path]]:
    """Checkpoints on the way of a run, the furthest first: (step, path)."""
    checkpoints, last = [], total_steps(science)
    for path in (outputs / "checkpoints" / family_id(science)).glob("[0-9]*"):
        if path.suffix not in SUFFIXES:
            continue
        step, _, prefix = path.name.split(".")[0].partition("-")
        if int(step) <= last and prefix_id(science, int(step)) == prefix:
            checkpoints.append((int(step), path))
    return sorted(checkpoints, reverse=True)


def no_checkpoint(outputs: Path, spec: RunSpec, step: int) -> str:
    """The sentence for a step of which a run has no checkpoint; it names those that there are."""
    steps = sorted({at for at, _ in candidates(outputs, spec.science)})
    return (
        f"run {spec.run_id} has no readable checkpoint of step {step}; there are: "
        f"{', '.join(map(str, steps)) or 'none'}"
    )
