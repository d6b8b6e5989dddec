"""The workspace of a study draws what is mirrored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.wandb_points import METRICS, STEP_METRIC
from scalinglab.wandb_workspace import study_workspace, write_workspace


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of wandb-workspaces itself
def test_a_workspace_draws_what_is_mirrored(finished, tmp_path) -> None:
    plan = read_plan(finished, "tiny")
    runs = [replace(run, varies=f"optimizer=muon loops={k}") for k, run in enumerate(plan.runs)]
    workspace = study_workspace(replace(plan, runs=runs), "p")
    path = write_workspace(workspace, tmp_path / "board" / "tiny.json", is_online=False)
    section = json.loads(path.read_text())["spec"]["section"]
    panels = [p["config"] for s in section["panelBankConfig"]["sections"] for p in s["panels"]]
    lines = [panel for panel in panels if "metrics" in panel]
    assert lines and all(line["xAxis"] == STEP_METRIC for line in lines)
    assert {name for line in lines for name in line["metrics"]} <= set(METRICS)
    (shown,) = section["runSets"]
    assert shown["filters"]["filters"][0]["value"] == ["tiny"]
    columns = shown["runFeed"]["columnOrder"]
    assert {"config:arm.optimizer", "config:arm.loops"} <= set(columns)
