"""The engine that trains the runs of a pack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.steps.engine import Engine, Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.engine.trainer.member import MemberRun
from scalinglab.scaling.optimizers.optimizer import member_settings
from scalinglab.scaling.run.step_options import StepOptions


def engine_values(
    members: Sequence[MemberRun], execution: ExecutionConfig, micro_batch: int
) -> dict[str, Any]:
    """The values by which an engine for these runs differs from any other, plain or frozen."""
    settings = [
        Member(
            seed=m.spec.seed,
            optimizer=member_settings(m.spec.optimizer.name, m.spec.optimizer.settings),
        )
        for m in members
    ]
    return {
        "architecture": members[0].spec.architecture,
        "members": settings,
        "micro_batch": micro_batch,
        "options": StepOptions.of(members[0].spec, execution),
    }


def build_engine(
    members: Sequence[MemberRun], execution: ExecutionConfig, micro_batch: int
) -> Engine:
    """The engine of a process that trains these runs alone."""
    return ENGINES[execution.engine](
        **engine_values(members, execution, micro_batch), device=execution.device
    )
