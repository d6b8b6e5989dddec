"""A run starts where the engine would start it, asked without torch and without the tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.trainer.checkpoint import (
    Checkpoint,
    furthest_checkpoint,
    save_checkpoint,
    save_part,
)
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.parts import new_parts, write_manifest
from scalinglab.scaling.records.prefixes import checkpoint_path
from scalinglab.scaling.run.resolve import Run
from scalinglab.scaling.training import starts as module
from scalinglab.scaling.training.events import validation_steps
from scalinglab.scaling.training.starts import read_head, starts


def checkpoint(run: Run, at: int, **changes: Any) -> Checkpoint:
    measured = {s: 1.0 / s for s in validation_steps(run.pieces) if s <= at}
    curve = Curve(*np.ones((2, at), np.float32), measured)
    state = {"weight/a": torch.randn(3, 2), "first/a": torch.ones(2, dtype=torch.bfloat16)}
    values = {"step": at, "prefix_id": prefix_id(run.science, at), "curve": curve}
    return Checkpoint(**{**values, "state": state, **changes})


def in_one_file(path: Path, saved: Checkpoint) -> None:
    save_checkpoint(path, saved)


def in_parts(path: Path, saved: Checkpoint) -> None:
    parts = new_parts(path, 2)
    save_checkpoint(parts[0], saved)
    save_part(parts[1], {"weight/b": torch.zeros(1)})
    write_manifest(path, parts)


def damaged(path: Path, saved: Checkpoint) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PK of no archive")


@pytest.mark.parametrize("save", [in_one_file, in_parts, damaged])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"extensions": "mine=0123"},
        {"step": 3},
        {"prefix_id": "another"},
        {"curve": Curve(*np.ones((2, 36), np.float32), {})},  # of its 40 steps it measured none
    ],
    ids=["its own", "of another text", "of another step", "of another run", "not validated"],
)
def test_it_is_asked_as_the_engine_asks(
    tmp_path: Path,
    tiny_run: Callable[..., Run],
    save: Callable[[Path, Checkpoint], None],
    changes: dict[str, Any],
) -> None:
    run = tiny_run({"tokens": 2560})
    for at, changed in ((8, {}), (36, changes)):
        way = save if at == 36 else in_one_file
        way(checkpoint_path(tmp_path, run.science, at), checkpoint(run, at, **changed))
    asked = list(starts(tmp_path, run.science))
    trained = furthest_checkpoint(tmp_path, run.science, validation_steps(run.pieces))
    assert trained is not None and asked[0] == trained.step
    assert asked == ([36, 8] if not changes and save is not damaged else [8])


def test_a_head_is_what_was_written(tmp_path: Path, tiny_run: Callable[..., Run]) -> None:
    saved = checkpoint(tiny_run(), 40, extensions="mine=0123")
    save_checkpoint(tmp_path / "a.pt", saved)
    assert read_head(tmp_path / "a.pt") == saved.head
    assert read_head(tmp_path / "gone.pt") is None


def test_who_lacks_a_part_takes_its_word(
    tmp_path: Path, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that only looks, as ``scaling status`` does, need not import extensions."""
    run = tiny_run()
    path = checkpoint_path(tmp_path, run.science, 8)
    save_checkpoint(path, checkpoint(run, 8, extensions="mine=0123"))
    assert list(starts(tmp_path, run.science)) == []
    monkeypatch.setattr(module, "is_known", lambda science: False)
    assert list(starts(tmp_path, run.science)) == [8]
