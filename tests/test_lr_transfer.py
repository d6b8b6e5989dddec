"""Does the best learning rate of a narrow model serve one of eight times its width? Trained."""

from __future__ import annotations

import pytest

from scalinglab.analysis.reporting.verdict import give_verdict
from scalinglab.analysis.tables.judged_runs import study_runs
from scalinglab.compose import compose
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan


@pytest.mark.slow
def test_the_best_rate_transfers_under_mup_and_not_under_sp(tmp_path) -> None:
    """Fifteen to twenty core-minutes: the study `lr_transfer`, its fixed seeds."""
    plan = make_plan(compose(["study=lr_transfer", f"outputs={tmp_path}"]))
    save_plan(plan)
    assert launch(plan.outputs, "lr_transfer", LaunchConfig("local"))

    finding = give_verdict(tmp_path, "lr_transfer").finding
    assert finding.warnings == []
    table = finding.tables["Optima"].set_index(["arm", "width"])
    regret = table["regret / noise"]
    assert regret["mup", 128] < 1 < regret["sp", 128]
    assert table.loc[("sp", 128), "least regret"] > table.loc[("mup", 128), "largest regret"]

    # At the base's width they are one training.
    runs = study_runs(tmp_path, "lr_transfer")
    narrow = runs[runs["width"] == 16].sort_values(["lr", "seed"]).groupby("block")["loss"]
    assert list(narrow.get_group("mup")) == pytest.approx(list(narrow.get_group("narrow")))
