"""A study made ready to be trained: composed, planned, costed, and checked.

The command line, notebooks and single runs all come through here, so that they refuse alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab import analysis
from scalinglab.analysis.fitting.threshold import check_threshold
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.extensions.used import check_importable
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.plan_file import AnswerConfig
from scalinglab.scaling.training.srun import slurm_nodes
from scalinglab.sweeps.config import LaunchConfig, check_launch
from scalinglab.sweeps.launch.cluster_timing import timing_target
from scalinglab.sweeps.launch.launch import check_backend
from scalinglab.sweeps.plan.cost import check_budget, cost
from scalinglab.sweeps.plan.design import SURFACE, LawNeeds
from scalinglab.sweeps.plan.gpus import check_gpu_memory
from scalinglab.sweeps.plan.make import make_plan, plan_run
from scalinglab.sweeps.plan.places import check_places
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.plan.selection import check_selections
from scalinglab.sweeps.plan.timing import with_seconds
from scalinglab.sweeps.study.study import StudyConfig, check_overrides, check_study

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A study that may be trained.

    Attributes
    ----------
    composed : mapping
        The configuration from which it was planned.
    config : LaunchConfig
        Where its runs happen.
    plan : Plan
        The plan with packs and predicted seconds.
    """

    composed: Mapping[str, Any]
    config: LaunchConfig
    plan: Plan


def compose_configuration(
    arguments: Sequence[str], outputs: Path | None = None, config: Path | None = None
) -> dict[str, Any]:
    """Compose a configuration from Hydra's overrides; `outputs` takes precedence over theirs."""
    # Imported here, because Hydra belongs to an extra: reading and fitting does not need it.
    with needs_extra("composing a configuration"):
        from scalinglab.compose import compose

    composed = compose(arguments, config)
    return composed if outputs is None else composed | {"outputs": str(outputs)}


def launch_config(composed: Mapping[str, Any]) -> LaunchConfig:
    """Where the runs of a composed configuration happen."""
    return from_dict(LaunchConfig, composed["launch"], "launch")


def prepare(
    composed: Mapping[str, Any], overrides: Sequence[str], tell: Tell, *, to_launch: bool = False
) -> Prepared:
    """Plan the study of a composed configuration.

    Parameters
    ----------
    composed : mapping
    overrides : sequence of str
        The overrides that it was composed with: one that changes nothing is refused.
    tell : callable
        Called with a sentence before anything that takes long.
    to_launch : bool
        Whether the runs are trained next: then the backend (SLURM) is checked as well.

    Raises
    ------
    ConfigError
        On any mistake, in one sentence; nothing has been trained by then.
    """
    config = launch_config(composed)
    (check_backend if to_launch or config.measure == "target" else check_launch)(config)
    study = check_study(composed)
    _check_answer(study)
    plan = make_plan(composed, law=_needs(study))
    check_overrides(composed, overrides)
    check_selections(plan, config)
    check_places(config, plan.execution)
    if config.backend != "inline":
        for planned in plan.runs:
            check_importable(planned.run.science)
    target = timing_target(config, plan.execution, plan.outputs, tell)
    return Prepared(composed, config, with_seconds(plan, target, config))


def check_affordable(prepared: Prepared) -> None:
    """Refuse a launch beyond its budget, or beyond the memory of the GPUs.

    Raises
    ------
    ConfigError
        Naming the limit and the plan's total.
    """
    plan, config = prepared.plan, prepared.config
    check_budget(cost(plan), config.budget, plan.outputs)
    check_gpu_memory(plan, config)


def prepare_run(composed: Mapping[str, Any]) -> tuple[Plan, PlannedRun]:
    """Plan the one run of a composed configuration without a study, with the same checks.

    Raises
    ------
    ConfigError
        On any mistake, in one sentence.
    """
    values = {k: v for k, v in composed.items() if k in RunConfig.__dataclass_fields__}
    nodes = slurm_nodes()
    outputs, planned = plan_run(from_dict(RunConfig, values), composed["outputs"], nodes=nodes)
    plan = Plan(StudyConfig("train", "", {}), outputs, planned.run.config.execution, [planned])
    if nodes == 1:  # in a job of several nodes, each sees its own devices only
        check_places(LaunchConfig("inline"), plan.execution)
        check_gpu_memory(plan, LaunchConfig("inline"))
    return plan, planned


def _needs(study: StudyConfig) -> LawNeeds:
    """Which axes the runs of a study must vary for its law; a law in one variable needs one."""
    if study.answer.law == AUTO:
        return SURFACE
    law = analysis.LAWS.find(study.answer.law)
    inputs = {study.answer.x if name == "x" else name for name in law.inputs}
    axes = frozenset("NDC") & inputs
    if law.curve or len(axes) != 1 or inputs - axes:
        return SURFACE
    return LawNeeds(axes, len(law.parameters), f"the law {law.name}")


def _check_answer(study: StudyConfig) -> None:
    """Refuse a law, a threshold or a verdict that the analysis does not know."""
    answer, default = study.answer, AnswerConfig()
    for key in ("law", "curve_law"):
        law = getattr(answer, key)
        if law != AUTO:
            analysis.LAWS.find(law, f"study.answer.{key}")
    check_threshold(answer.delta, "study.answer.delta")
    if (answer.kind, answer.options) != (default.kind, default.options):
        # Imported here: a single run asks for no verdict, and verdicts load pandas.
        from scalinglab.analysis.reporting.verdict import check_kind

        check_kind(answer.kind, answer.options)
