"""What ``scaling status`` and its neighbours say when somebody has cleaned up by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def without_one(finished, tmp_path) -> tuple[Path, str]:
    """The finished study, the folder of one of its fitted runs removed, and the run's id."""
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    plan = json.loads((outputs / "studies" / "tiny" / "plan.json").read_text())
    run_id = next(r["run_id"] for r in plan["runs"] if r["roles"] == ["fit"])
    shutil.rmtree(outputs / "runs" / run_id)
    return outputs, run_id


@pytest.mark.long
def test_a_run_whose_folder_was_removed_is_told_and_hides_no_other(run, without_one) -> None:
    outputs, run_id = without_one
    there = f"outputs={outputs}"
    code, out, _ = run("status", "study=tiny", there)
    assert code == 0 and "tiny: 12 done, 1 diverged" in out
    assert f"! the folder of {run_id} is gone; scaling launch study=tiny makes it again" in out
    quick = ["resamples=0", "multiverse=false"]
    for verb, *options in (["forecast"], ["cancel"], ["collect"], ["report", *quick]):
        code, out, error = run(verb, "study=tiny", there, *options)
        assert code == 0, error
    assert "Not finished: 1 waiting or planned" in out
