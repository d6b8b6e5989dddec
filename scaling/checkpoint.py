"""Checkpoints, addressed by what they are a checkpoint of: a prefix of a training.

    <outputs>/checkpoints/<family_id>/<step>-<prefix_id>.pt            pinned: a branch point or end
    <outputs>/checkpoints/<family_id>/<step>-<prefix_id>.<run_id>.pt   a run's latest, replaced

Any run may start from any checkpoint whose prefix is its own; resuming after a kill, branching a
cooldown off a trunk and extending a finished run are the same look-up. A checkpoint holds
``{part/name: tensor}`` for weights and moments, the step, and the curve so far; no scheduler and
no random state, since both are functions of the step.
"""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaling.atomic import save_atomic
from scaling.identity import family_id, prefix_id
from scaling.record import Curve

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` updates."""

    step: int
    prefix_id: str
    state: dict[str, Tensor]
    curve: Curve


def checkpoint_path(outputs: Path, science: dict[str, Any], step: int, owner: str = "") -> Path:
    """Where the checkpoint of a science at a step belongs; pinned unless it has an owner."""
    name = f"{step:08d}-{prefix_id(science, step)}"
    name += f".{owner}.pt" if owner else ".pt"
    return outputs / "checkpoints" / family_id(science) / name


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all."""
    content = {
        "format": FORMAT,
        "step": checkpoint.step,
        "prefix_id": checkpoint.prefix_id,
        "state": checkpoint.state,
        "loss": torch.from_numpy(checkpoint.curve.loss),
        "grad_norm": torch.from_numpy(checkpoint.curve.grad_norm),
        "validation": dict(checkpoint.curve.validation),
    }
    save_atomic(path, lambda aside: torch.save(content, aside))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; no code in it is run."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if content["format"] != FORMAT:
        raise ValueError(f"{path} has the format {content['format']}; this code reads {FORMAT}")
    curve = Curve(
        content["loss"].numpy(), content["grad_norm"].numpy(), dict(content["validation"])
    )
    return Checkpoint(content["step"], content["prefix_id"], content["state"], curve)


def candidates(outputs: Path, science: dict[str, Any]) -> list[tuple[int, Path]]:
    """Checkpoints on the way of a run, the furthest first: (step, path)."""
    found = []
    for path in (outputs / "checkpoints" / family_id(science)).glob("[0-9]*.pt"):
        step, _, prefix = path.name.split(".")[0].partition("-")
        if int(step) <= science["steps"] and prefix_id(science, int(step)) == prefix:
            found.append((int(step), path))
    return sorted(found, reverse=True)


def furthest_checkpoint(
    outputs: Path, science: dict[str, Any], validation: list[int]
) -> Checkpoint | None:
    """The furthest readable checkpoint of a run's prefix that measured what the run plans.

    Parameters
    ----------
    validation : list of int
        Steps at which the run plans to measure validation. Another run may have measured at more
        steps (its own end, say); those are left out, so that a curve never depends on whether a
        prefix was shared.
    """
    for _, path in candidates(outputs, science):
        try:
            found = load_checkpoint(path)
        except FileNotFoundError:
            continue  # replaced by its owner while we looked
        except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
            log.warning("passing over the unreadable checkpoint %s: %s", path, error)
            continue
        needed = {s for s in validation if s < found.step}
        if needed <= set(found.curve.validation):
            kept = {s: v for s, v in found.curve.validation.items() if s in validation}
            curve = Curve(found.curve.loss, found.curve.grad_norm, kept)
            return Checkpoint(found.step, found.prefix_id, found.state, curve)
    return None
