"""A model in parts gives the curve of one process; whoever goes on finds its checkpoints whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from scalinglab.scaling.records.parts import parts_of
from scalinglab.scaling.records.run_folder import RunFolder

COLUMNS = ["loss", "grad_norm", "validation_loss"]
FIFTY = {"tokens": 64 * 50, "optimizer.clip": 0.5}
# Six sequences a step divide among two and among three.
LONG = {"batch": 6, "tokens": 96 * 200, "data.max_epochs": 20.0, "optimizer.lr": 1e-3}
# Moments by rows, and of whole matrices (muon has both: its embeddings are AdamW's).
optimizers = pytest.mark.parametrize("optimizer", [{}, {"optimizer.name": "muon"}], ids=str)


def same_curve(one: RunFolder, other: RunFolder, rtol: float = 1e-5) -> None:
    pd.testing.assert_frame_equal(
        pd.read_csv(one.curve_file())[COLUMNS], pd.read_csv(other.curve_file())[COLUMNS], rtol=rtol
    )


def files(outputs: Path, pattern: str) -> list[Path]:
    return sorted(outputs.glob(f"checkpoints/*/{pattern}"))


def stop_at(folder: RunFolder, step: int) -> Callable[[], bool]:
    return lambda: folder.progress(folder.latest_attempt().number).reached >= step


@pytest.mark.long
@pytest.mark.parametrize(
    "optimizer", [pytest.param({}, marks=pytest.mark.slow), {"optimizer.name": "muon"}], ids=str
)
def test_fifty_steps_and_a_branch_off_them(
    make_run, elsewhere, run_with_ranks, train_run, outputs, optimizer
):
    """A trunk in parts, its cooldown, and a longer run that one process branches off the trunk."""
    short = FIFTY | optimizer
    folder = make_run(short)
    assert run_with_ranks(folder, shard=True) == "done"
    same_curve(folder, elsewhere(short))
    assert folder.record().machine.shard
    branch_point, end = files(outputs, "*.json")
    assert files(outputs, "*.part") == sorted(parts_of(branch_point) + parts_of(end))
    assert len(parts_of(end)) == 2 and not files(outputs, "*.pt")
    longer = short | {"tokens": 64 * 60}
    branch = make_run(longer)
    assert train_run(branch) == "done"
    assert branch.record().started_at_step == int(branch_point.name[:8]) > 0
    same_curve(branch, elsewhere(longer))


@pytest.mark.slow
@optimizers
def test_any_number_of_processes_goes_on(
    make_run, elsewhere, run_with_ranks, train_run, outputs, optimizer
):
    """Two with parts, three with parts, two with copies, one: each from where the last one was."""
    folder, starts = make_run(LONG | optimizer), []
    for attempt, how in enumerate(({"shard": True}, {"shard": True, "processes": 3}, {}), 1):
        stop = stop_at(folder, 1 + folder.progress(attempt - 1).reached)
        assert run_with_ranks(folder, should_stop=stop, **how) == "interrupted"
        starts.append(folder.progress(attempt).start)
        assert len(files(outputs, f"*.{folder.run_id}*.part")) == how.get("processes", 2) * len(
            files(outputs, f"*.{folder.run_id}.json")
        )
    assert train_run(folder) == "done"
    starts.append(folder.record().started_at_step)
    assert starts == sorted(set(starts)) and starts[0] == 0
    assert not files(outputs, f"*.{folder.run_id}.*")  # the latest go at the end, with their parts
    same_curve(folder, elsewhere(LONG | optimizer), rtol=1e-3)


# Rank 1 is killed while it writes its part of the third checkpoint.
KILLED = """
import os, signal
if os.environ.get("RANK") == "1":
    from scalinglab.scaling.engine.trainer import checkpoint
    save, saved = checkpoint.save_part, []
    def dies(path, state):
        saved.append(path)
        if len(saved) == 3:
            path.write_bytes(b"half of it")
            os.kill(os.getpid(), signal.SIGKILL)
        save(path, state)
    checkpoint.save_part = dies
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_a_save_it_loses_nothing(
    make_run, make_apart, run_with_ranks, curve_of, outputs, tmp_path, monkeypatch
):
    undisturbed = make_apart(LONG)
    assert run_with_ranks(undisturbed, shard=True) == "done"
    folder = make_run(LONG)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(KILLED)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path / "site"))
        assert run_with_ranks(folder, shard=True, checkpoint_seconds=1e-6) == "interrupted"
    assert "rank 1 of 2 was killed by SIGKILL" in folder.latest_attempt().end.error
    whole = {part for path in files(outputs, "*.json") for part in parts_of(path)}
    torn = set(files(outputs, "*.part")) - whole
    assert any(part.read_bytes() == b"half of it" for part in torn)
    assert whole and all(part.exists() for part in whole)
    saved = folder.progress(1).saved
    assert run_with_ranks(folder, shard=True) == "done"
    assert folder.record().started_at_step == saved > 0
    assert curve_of(folder) == curve_of(undisturbed)
