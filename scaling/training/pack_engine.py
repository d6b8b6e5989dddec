"""From the runs of a pack to the engine that trains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scaling.config import ExecutionConfig
from scaling.engine.eager import ENGINES, Engine, Member
from scaling.engine.step_options import StepOptions
from scaling.model.architecture import Architecture
from scaling.optimizer_settings import member_settings
from scaling.training.member import MemberRun


def engine_values(
    members: Sequence[MemberRun], execution: ExecutionConfig, micro_batch: int
) -> dict[str, Any]:
    """What distinguishes an engine for these runs from any other, as plain or frozen values."""
    settings = [
        Member(
            seed=m.science["seed"],
            optimizer=member_settings(m.science["optimizer"]),
        )
        for m in members
    ]
    return {
        "architecture": Architecture.from_science(members[0].science["model"]),
        "members": settings,
        "micro_batch": micro_batch,
        "options": StepOptions.of(members[0].science, execution),
    }


def build_engine(
    members: Sequence[MemberRun], execution: ExecutionConfig, micro_batch: int
) -> Engine:
    """The engine of a process that trains these runs alone."""
    return ENGINES[execution.engine](
        **engine_values(members, execution, micro_batch), device=execution.device
    )
