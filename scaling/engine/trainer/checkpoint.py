"""Checkpoints: ``{part/name: tensor}`` for weights and moments, the step, the curve.

It holds no scheduler and no random state, since both are functions of the step. Where checkpoints
lie, and from which one a run may start, is in ``scalinglab.scaling.training.starts``.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.archive import check_archive
from scalinglab.scaling.records.atomic import save_atomic
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.damage import DamagedFile, set_aside
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.parts import parts_of
from scalinglab.scaling.records.prefixes import no_checkpoint, stored_checkpoints
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.training.starts import Head, extensions_of, why_passed_over

FORMAT = 1
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A training after `step` updates.

    Attributes
    ----------
    step : int
    prefix_id : str
        Of the science up to there.
    state : mapping
        Weights and moments by name.
    curve : Curve
        Up to there.
    extensions : str
        Hash of the extensions whose code made it; empty if none did.
    """

    step: int
    prefix_id: str
    state: Mapping[str, Tensor]
    curve: Curve
    extensions: str = ""

    @property
    def head(self) -> Head:
        """The checkpoint without its tensors."""
        validated = frozenset(self.curve.validation)
        return Head(self.step, self.prefix_id, validated, self.extensions)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all."""
    content = {
        "format": FORMAT,
        "step": checkpoint.step,
        "prefix_id": checkpoint.prefix_id,
        **({"extensions": checkpoint.extensions} if checkpoint.extensions else {}),
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
    """Read a checkpoint; no code in it is run. One in parts stays on the disk until it is used.

    Raises
    ------
    DamagedFile
        If a byte of it is not what was written.
    UserError
        If it has another format.
    """
    if path.suffix == ".pt":
        content = _read(path)
        return _checkpoint(content, content["state"])
    parts = []
    for part in parts_of(path):
        if not part.exists() and path.exists():
            raise DamagedFile(path, f"its part {part.name} is gone")
        try:
            parts.append(_read(part, is_mapped=True))
        except DamagedFile as error:  # the manifest makes it a checkpoint: that is set aside
            raise DamagedFile(path, f"its part {part.name}: {error.why}") from error
    if not parts:
        raise DamagedFile(path, "it names no parts")
    return _checkpoint(parts[0], Parts([part["state"] for part in parts]))


def _read(path: Path, *, is_mapped: bool = False) -> dict[str, Any]:
    check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except RuntimeError as error:
        if "PytorchStreamReader" not in str(error):  # no memory, say
            raise
        raise DamagedFile(path, str(error).partition(". ")[0]) from error
    if content["format"] != FORMAT:
        raise UserError(f"{path} has the format {content['format']}; this code reads {FORMAT}")
    return content


def _checkpoint(content: dict[str, Any], state: Mapping[str, Tensor]) -> Checkpoint:
    curve = Curve(
        content["loss"].numpy(),
        content["grad_norm"].numpy(),
        dict(content["validation"]),
        dict(content.get("measured", {})),
    )
    extensions = content.get("extensions", "")
    return Checkpoint(content["step"], content["prefix_id"], state, curve, extensions)


def readable_checkpoints(
    outputs: Path,
    science: Mapping[str, Any],
    consequence: str,
    is_wanted: Callable[[int], bool] = lambda step: True,
) -> Iterator[Checkpoint]:
    """The checkpoints on the way of a run that can be read, the furthest first.

    A damaged one is set aside, with a warning that names the consequence.
    """
    for step, path in stored_checkpoints(outputs, science):
        if not is_wanted(step):
            continue
        try:
            checkpoint = load_checkpoint(path)
            if (checkpoint.step, checkpoint.prefix_id) != (step, prefix_id(science, step)):
                holds = f"it holds step {checkpoint.step} of {checkpoint.prefix_id}"
                raise DamagedFile(path, holds)
        except FileNotFoundError:
            continue  # replaced by its owner while we looked
        except DamagedFile as error:
            set_aside(error, consequence)
            continue
        except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
            log.warning("passing over the unreadable checkpoint %s: %s", path, error)
            continue
        yield checkpoint


def checkpoint_at(outputs: Path, spec: RunSpec, step: int) -> Checkpoint:
    """The checkpoint of a run after some updates.

    Raises
    ------
    UserError
        If none of that step can be read.
    """
    consequence = "it is not read"
    at_step = readable_checkpoints(outputs, spec.science, consequence, lambda at: at == step)
    for checkpoint in at_step:
        return checkpoint
    raise UserError(no_checkpoint(outputs, spec.run_id, spec.science, step))


def furthest_checkpoint(
    outputs: Path, science: Mapping[str, Any], validation: list[int], at_most: int | None = None
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
    consequence = "the run goes on from what it had before"
    last = math.inf if at_most is None else at_most
    extensions = extensions_of(science)
    for checkpoint in readable_checkpoints(outputs, science, consequence, lambda at: at <= last):
        why = why_passed_over(checkpoint.head, science, checkpoint.step, validation, extensions)
        if why is not None:
            log.warning("passing over the checkpoint of step %s: %s", checkpoint.step, why)
            continue
        return replace(checkpoint, curve=_at_steps(checkpoint.curve, validation))
    return None


def _at_steps(curve: Curve, steps: Collection[int]) -> Curve:
    """The curve with the validations and measurements of these steps alone."""
    validation = {step: loss for step, loss in curve.validation.items() if step in steps}
    measured = {step: values for step, values in curve.measured.items() if step in steps}
    return replace(curve, validation=validation, measured=measured)
