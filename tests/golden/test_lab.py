"""Folders that an earlier version left are read, tidied and brought to their end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden import lab, product
from tests.golden.holds import assert_holds
from tests.golden.write import read

LAB = read("lab")
ROUNDING = 2e-3  # of a loss after eighty steps on another processor


def test_every_study_is_read_as_it_was(outputs: Path) -> None:
    now = lab.readings(outputs)
    assert_holds(LAB["readings"], now)


def test_every_state_is_there(outputs: Path) -> None:
    states = {row["state"] for study in LAB["readings"].values() for row in study.get("status", [])}
    assert states >= {
        "done",
        "diverged",
        "running",
        "stopped",
        "failed",
        "interrupted",
        "waiting",
        "planned",
    }


def test_selections_choose_the_same_runs(outputs: Path) -> None:
    assert lab.selected(outputs) == LAB["selected"]


def test_the_same_checkpoints_are_removed(tmp_path: Path) -> None:
    left = lab.remaining(tmp_path)
    assert left == LAB["remaining"]
    assert len(left["all"]) >= len(left["weights"]) > len(left["branch"]) > len(left["needed"]) > 0


@pytest.mark.parametrize("name", product.ENTRY_POINTS)
def test_names_that_stand_in_jobs_and_launches_lead_somewhere(name: str) -> None:
    assert callable(product.entry_point(name))


@pytest.mark.parametrize("study", ["pool", "slurm"])
def test_a_launch_is_brought_to_its_end_by_the_worker_of_today(outputs: Path, study: str) -> None:
    """From the checkpoint in the middle, not from the start; a pack member goes on with its own."""
    begun = {path.parent.name for path in (outputs / "runs").glob("*/attempts")}
    product.work(lab.launch_folder(outputs, study))
    losses = lab.final_losses(outputs, study)
    assert losses == pytest.approx(LAB["losses"][study], rel=ROUNDING)
    resumed = [run for run in losses if run in begun]
    assert resumed
    for run in resumed:
        (record,) = (outputs / "runs" / run).glob("record-*.json")
        stored = json.loads(record.read_text())
        assert stored["started_at_step"] > 0 and stored["attempt"] == 2


def test_a_worker_is_started_as_jobs_and_pools_start_it(outputs: Path) -> None:
    """By a line that stands in scripts which wait in a queue."""
    folder = lab.launch_folder(outputs, "pool")
    (folder / "cancelled").touch()
    line = [sys.executable, "-m", "scalinglab.sweeps.launch.worker", str(folder), "default", "inf"]
    done = subprocess.run(line, cwd=product.ROOT, capture_output=True, text=True, check=True)
    assert "leaves: stopped" in done.stdout


def test_a_model_in_parts_goes_on_from_its_parts(outputs: Path, monkeypatch) -> None:
    """A longer run starts where the shorter one, trained in parts by two processes, had come."""
    monkeypatch.chdir(outputs.parent)
    longer = ["study=sharded", "study.blocks.parts.grid.tokens=[2560]", "schedule.kind=constant"]
    product.plan_only(outputs, longer)
    run = lab.run_of(outputs, "sharded", "parts")
    product.begin(outputs, run, chunks=1)
    beat = json.loads((outputs / "runs" / run / "attempts" / "0001.beat").read_text())
    assert beat["start"] > 0
