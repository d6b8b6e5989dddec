"""What tests of several parts of a sweep need."""

from __future__ import annotations

import pytest

from sweeps.plan import Plan, make_plan, save_plan

LONG = ["study.blocks.ladder.grid.tokens=[25600]", "study.blocks.ladder.grid.model.width=[8,16]",
        "~study.blocks.curves", "data.max_epochs=10", "execution.checkpoint_seconds=1000"]


@pytest.fixture
def plan(study) -> Plan:
    """The stored plan of two runs of some seconds, long enough to be met while they train."""
    plan = make_plan(study(*LONG))
    save_plan(plan)
    return plan
