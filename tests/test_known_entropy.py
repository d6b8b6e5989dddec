"""A language whose entropy is known: the fitted irreducible loss must find it."""

from __future__ import annotations

import pytest

from scalinglab import analysis
from scalinglab.compose import compose
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan


@pytest.mark.slow
def test_the_irreducible_loss_is_the_true_entropy_of_the_evaluation_windows(tmp_path) -> None:
    """Some twenty-five core-minutes: the study `markov`, its fixed seed."""
    plan = make_plan(compose(["study=markov", f"outputs={tmp_path}"]))
    save_plan(plan)
    assert launch(plan.outputs, "markov", LaunchConfig("local"))
    runs = analysis.load(tmp_path, study="markov", role="fit")
    (truth,) = runs["irreducible_loss"].unique()
    result = analysis.fit("chinchilla", runs, seed=0)
    low, high = result.interval("E")
    assert result.params["E"] == pytest.approx(truth, rel=0.01)
    assert low <= truth <= high
    assert high - low < 0.05 * truth
    assert "E" not in result.diagnosis.unidentified
