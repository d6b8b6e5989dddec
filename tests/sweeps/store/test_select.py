"""Choosing runs by a few words."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.claim import Claim
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import read_plan


@pytest.fixture
def runs(study):
    """The runs of the tiny study; the first has failed for want of memory."""
    plan = make_plan(study())
    save_plan(plan)
    found = read_plan(plan.outputs, "tiny").runs
    Claim.acquire(found[0].folder, 60.0).release("failed", MemoryError("no more"))
    return found


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("failed", [0]),
        ("host_oom", [0]),
        ("state == 'failed'", [0]),
        ("failure == 'host_oom' or seed == 7", [0]),
        ("model.width >= 16", [0, 1]),
        ("N < 1000 and not schedule.kind == 'constant'", [2, 4]),
        ("schedule.kind in ['constant', 'linear']", [3]),
        ("tokens == 5120", [0, 2, 3]),
        ("data.seed < 3", []),  # null of every run: it does not hold of any
    ],
)
def test_selections(runs, text: str, chosen: list[int]) -> None:
    if not chosen:
        with pytest.raises(ConfigError, match="chooses none of the 5 runs"):
            select(runs, text)
    else:
        assert select(runs, text) == [runs[i] for i in chosen]


def test_a_run_by_the_beginning_of_its_id(runs) -> None:
    assert select(runs, runs[1].folder.run_id[:4]) == [runs[1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle.width > 3", "modle"),
        ("model.witdh > 3", "witdh"),
        ("__import__('os')", "only comparisons"),
        ("model.width >", "cannot be read as an expression"),
        ("zzzz", "chooses none"),
    ],
)
def test_mistakes_are_named(runs, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        select(runs, text)
