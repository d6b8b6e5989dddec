"""A plan whose launch would choose no run, or chooses by what no run has, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.plan.selection import check_selections
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import read_plan


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"runs": "other"}, "launch.runs = 'other' chooses none of the 5 runs"),
        ({"runs": "seed == 99"}, "launch.runs = 'seed == 99' chooses none"),
        ({"runs": "modle.width > 3"}, "launch.runs = .*modle.width"),
        ({"classes": {"big": {"where": "widht > 1"}}}, "launch.classes.big.where = .*widht"),
    ],
)
def test_what_chooses_nothing_is_told_before_anything_is_stored(
    study: Any, chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_selections(make_plan(study()), LaunchConfig("slurm", **chosen))


@pytest.mark.parametrize("text", ["planned", "waiting", "model.width >= 16"])
def test_a_plan_is_asked_as_its_launch(study: Any, text: str) -> None:
    plan = make_plan(study())
    check_selections(plan, LaunchConfig(runs=text))
    save_plan(plan)
    assert select(read_plan(plan.outputs, "tiny").runs, text)
