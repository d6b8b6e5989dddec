"""What the runs say: records -> laws -> intervals -> answers.

Public names are imported on first use, so that importing it costs nothing and never loads
torch, lightning, hydra or wandb.
"""

from importlib import import_module
from typing import Any

if __name__ != "scalinglab.analysis":  # found in the current folder, not in the installed package
    raise ImportError("'analysis' is a part of scalinglab: from scalinglab import analysis")

_HOME = {
    "LAWS": "scalinglab.analysis.laws",
    "Law": "scalinglab.analysis.laws",
    "Parameter": "scalinglab.analysis.laws",
    "register": "scalinglab.analysis.laws",
    "fit": "scalinglab.analysis.fitting.fit",
    "Result": "scalinglab.analysis.fitting.result",
    "read_fit": "scalinglab.analysis.fitting.read_fit",
    "profile_likelihood": "scalinglab.analysis.fitting.profile",
    "hold_out": "scalinglab.analysis.judgement.holdout",
    "ArmComparison": "scalinglab.analysis.arms.comparison",
    "arm_settings": "scalinglab.analysis.arms.settings",
    "compare_arm_curves": "scalinglab.analysis.arms.curves",
    "compare_arms": "scalinglab.analysis.arms.compare_arms",
    "runs_by_arm": "scalinglab.analysis.arms.settings",
    "judge": "scalinglab.analysis.transfer.judge",
    "Judgement": "scalinglab.analysis.transfer.judgement",
    "TransferQuestion": "scalinglab.analysis.transfer.question",
    "arm_values": "scalinglab.analysis.arms.settings",
    "compare_laws": "scalinglab.analysis.judgement.compare_laws",
    "Comparison": "scalinglab.analysis.judgement.comparison",
    "delta_sensitivity": "scalinglab.analysis.judgement.sensitivity",
    "allocate": "scalinglab.analysis.decisions.allocation",
    "compare_approaches": "scalinglab.analysis.decisions.approaches",
    "isoflop_minima": "scalinglab.analysis.decisions.isoflop",
    "envelope": "scalinglab.analysis.decisions.training_envelope",
    "loss_left": "scalinglab.analysis.decisions.off_optimum",
    "Choices": "scalinglab.analysis.judgement.multiverse",
    "fit_multiverse": "scalinglab.analysis.judgement.multiverse",
    "Target": "scalinglab.analysis.decisions.target",
    "read_target": "scalinglab.analysis.decisions.target",
    "choose_next": "scalinglab.analysis.decisions.next_runs",
    "reach_target": "scalinglab.analysis.decisions.reach_target",
    "cheapest": "scalinglab.analysis.decisions.off_optimum",
    "tokens_to_loss": "scalinglab.analysis.decisions.off_optimum",
    "critical_batch": "scalinglab.analysis.decisions.off_optimum",
    "asymptotes": "scalinglab.analysis.fitting.asymptotes",
    "average_parameters": "scalinglab.analysis.laws.average_parameters",
    "lr_batch": "scalinglab.analysis.fitting.lr_batch",
    "best_schedule": "scalinglab.analysis.decisions.best_schedule",
    "pass_rate": "scalinglab.analysis.laws.task_pass_rate",
    "regret": "scalinglab.analysis.fitting.lr_batch",
    "held_out_regret": "scalinglab.analysis.decisions.held_out_cells",
    "task_chain": "scalinglab.analysis.fitting.task_chain",
    "task_chains": "scalinglab.analysis.fitting.task_chains",
    "study_tasks": "scalinglab.analysis.forecasts.study_tasks",
    "scores": "scalinglab.analysis.judgement.accuracy",
    "forecast_run": "scalinglab.analysis.forecasts.forecast_run",
    "forecast_study": "scalinglab.analysis.forecasts.forecast_study",
    "forecast_curves": "scalinglab.analysis.forecasts.forecast_study",
    "Forecast": "scalinglab.analysis.forecasts.forecast",
    "Imported": "scalinglab.analysis.importers.assemble",
    "read_runs": "scalinglab.analysis.importers.read",
    "read_table": "scalinglab.analysis.importers.points",
    "read_wandb": "scalinglab.analysis.importers.wandb_api",
    "save_study": "scalinglab.analysis.importers.study",
    "load": "scalinglab.analysis.tables.runs",
    "load_curves": "scalinglab.analysis.tables.curves",
    "study_plan": "scalinglab.analysis.tables.study_runs",
    "answer_study": "scalinglab.analysis.reporting.build_answer",
    "runs_without_law": "scalinglab.analysis.reporting.build_answer",
    "Answer": "scalinglab.analysis.reporting.answer",
    "RunsWithoutLaw": "scalinglab.analysis.reporting.reported_runs",
    "with_intervals": "scalinglab.analysis.tables.interval_text",
    "write_report": "scalinglab.analysis.reporting.report",
    "give_verdict": "scalinglab.analysis.reporting.verdict",
    "write_verdict": "scalinglab.analysis.reporting.write_verdict",
    "expect": "scalinglab.analysis.intervals.expected",
    "optimum": "scalinglab.analysis.decisions.parabola",
    "tuned": "scalinglab.analysis.decisions.parabola",
    "seed_noise": "scalinglab.analysis.tables.noise",
    "thin_curves": "scalinglab.analysis.tables.thinning",
    "REPLAYS": "scalinglab.analysis.replays.published",
    "Replay": "scalinglab.analysis.replays.replay",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name from the file it lives in, the first time it is asked for."""
    if name == "plot":  # a room of figures, not one object
        return import_module("scalinglab.analysis.plot")
    if name not in _HOME:
        raise AttributeError(
            f"module 'scalinglab.analysis' has no attribute {name!r}; it has {__all__}"
        )
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
