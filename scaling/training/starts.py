"""The checkpoints from which a run may start, for the engine, plans and workers alike.

A plan counts the steps that a run does not need to train, so it must skip the checkpoints that the
engine skips. That depends on the head of a checkpoint, which is read here without its tensors and
without torch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.extensions.used import is_known, used_by
from scalinglab.scaling.records.archive import plain_content
from scalinglab.scaling.records.identity import mixture_pieces, prefix_id, science_pieces
from scalinglab.scaling.records.parts import parts_of
from scalinglab.scaling.records.prefixes import stored_checkpoints
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.training.events import validation_steps


@dataclass(frozen=True)
class Head:
    """The head of a checkpoint: all but its tensors.

    Attributes
    ----------
    step : int
    prefix_id : str
    validated : frozenset of int
        Steps at which the validation loss was measured.
    extensions : str
        Hash of the extensions whose code made it; empty without any.
    """

    step: int
    prefix_id: str
    validated: frozenset[int]
    extensions: str


def extensions_of(science: Mapping[str, Any]) -> Callable[[], str | None]:
    """The versions of extensions that checkpoints of a run must have, read when first needed.

    None where this process lacks some.
    """
    return functools.cache(lambda: used_by(science) if is_known(science) else None)


def why_passed_over(
    head: Head,
    science: Mapping[str, Any],
    step: int,
    validation: Collection[int],
    extensions: Callable[[], str | None],
) -> str | None:
    """Why a run cannot start from a checkpoint at this step; None if it can.

    Parameters
    ----------
    head : Head
    science : mapping
        The science of the run.
    step : int
    validation : collection of int
        Steps at which the run plans to measure validation.
    extensions : callable
        From `extensions_of`, one for all checkpoints.
    """
    if (head.step, head.prefix_id) != (step, prefix_id(science, step)):
        return f"it holds step {head.step} of {head.prefix_id}"
    if extensions() not in (None, head.extensions):
        return "extensions of another text made it"
    if not {s for s in validation if s < step} <= head.validated:
        return "it lacks validations that the run plans"
    return None


def starts(outputs: Path, science: Mapping[str, Any]) -> Iterator[int]:
    """Steps with a checkpoint from which a run of some science can start, the furthest first."""
    validation = validation_steps(science_pieces(science), mixture_pieces(science).values())
    extensions = extensions_of(science)
    for step, path in stored_checkpoints(outputs, science):
        head = read_head(path)
        if head is None:
            continue
        if why_passed_over(head, science, step, validation, extensions) is None:
            yield step


def starts_of(outputs: Path, spec: RunSpec) -> Iterator[int]:
    """`starts` for a run with a run.json."""
    return starts(outputs, spec.science)


def read_head(checkpoint: Path) -> Head | None:
    """The head of a checkpoint; None if it is gone or unreadable, which the engine reports."""
    try:
        files = [checkpoint] if checkpoint.suffix == ".pt" else parts_of(checkpoint)
    except FileNotFoundError:
        return None
    content = plain_content(files[0]) if files else None
    if content is None:
        return None
    try:
        return Head(
            int(content["step"]),
            str(content["prefix_id"]),
            frozenset(content["validation"]),
            str(content.get("extensions", "")),
        )
    except (KeyError, TypeError, ValueError):  # another format
        return None
