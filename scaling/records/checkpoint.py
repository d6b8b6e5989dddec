"""What a checkpoint holds: ``{part/name: tensor}`` for weights and moments, the step, the curve.

No scheduler and no random state: both are functions of the step. Where checkpoints lie and which
one a run may start from is in ``scaling.records.prefixes``.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scaling.records.atomic import save_atomic
from scaling.records.parts import parts_of
from scaling.records.prefixes import candidates
from scaling.records.record import Curve

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` updates."""

    step: int
    prefix_id: str
    state: Mapping[str, Tensor]
    curve: Curve


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
        "measured": dict(checkpoint.curve.measured),
    }
    save_atomic(path, lambda aside: torch.save(content, aside))


def save_part(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write what a rank other than 0 holds of a checkpoint; rank 0's part is one by itself."""
    save_atomic(path, lambda aside: torch.save({"format": FORMAT, "state": state}, aside))


class Parts(Mapping[str, Tensor]):
    """A state whose parts each have some rows of its tensors, or all; joined when asked for."""

    def __init__(self, parts: list[dict[str, Tensor]]) -> None:
        self._parts = parts
        self._keys = dict.fromkeys(key for part in parts for key in part)

    def __getitem__(self, key: str) -> Tensor:
        return torch.cat([part[key] for part in self._parts if key in part])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; no code in it is run. One in parts stays on the disk until it is used."""
    if path.suffix == ".pt":
        content = _read(path)
        return _checkpoint(content, content["state"])
    parts = [_read(part, mmap=True) for part in parts_of(path)]
    if not parts:
        raise ValueError(f"{path} names no parts")
    return _checkpoint(parts[0], Parts([part["state"] for part in parts]))


def _read(path: Path, mmap: bool = False) -> dict[str, Any]:
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    if content["format"] != FORMAT:
        raise ValueError(f"{path} has the format {content['format']}; this code reads {FORMAT}")
    return content


def _checkpoint(content: dict[str, Any], state: Mapping[str, Tensor]) -> Checkpoint:
    curve = Curve(
        content["loss"].numpy(), content["grad_norm"].numpy(), dict(content["validation"]),
        dict(content.get("measured", {})),
    )  # fmt: skip
    return Checkpoint(content["step"], content["prefix_id"], state, curve)


def furthest_checkpoint(
    outputs: Path, science: dict[str, Any], validation: list[int], at_most: int | None = None
) -> Checkpoint | None:
    """The furthest readable checkpoint of a run's prefix that measured what the run plans.

    Parameters
    ----------
    validation : list of int
        Steps at which the run plans to measure validation. Another run may have measured at more
        steps (its own end, say); those are left out, so that a curve never depends on whether a
        prefix was shared.
    at_most : int, optional
        Pass over checkpoints of later steps.
    """
    for step, path in candidates(outputs, science):
        if at_most is not None and step > at_most:
            continue
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
            measured = {s: v for s, v in found.curve.measured.items() if s in validation}
            curve = replace(found.curve, validation=kept, measured=measured)
            return Checkpoint(found.step, found.prefix_id, found.state, curve)
    return None
