"""What the runs say: records -> laws -> intervals -> answers.

Public names are imported on first use, so that `import analysis` costs nothing and never loads
torch, lightning, hydra or wandb.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "LAWS": "analysis.laws",
    "Law": "analysis.laws",
    "Parameter": "analysis.laws",
    "register": "analysis.laws",
    "fit": "analysis.fitting.fitter",
    "Result": "analysis.fitting.result",
    "read_fit": "analysis.fitting.store",
    "profile_likelihood": "analysis.fitting.profile",
    "hold_out": "analysis.judgement.holdout",
    "ArmComparison": "analysis.arms.comparison",
    "arm_settings": "analysis.arms.settings",
    "compare_arm_curves": "analysis.arms.curves",
    "compare_arms": "analysis.arms.comparison",
    "runs_by_arm": "analysis.arms.settings",
    "compare_laws": "analysis.judgement.compare",
    "Comparison": "analysis.judgement.compare",
    "delta_sensitivity": "analysis.judgement.sensitivity",
    "allocate": "analysis.decisions.allocation",
    "compare_approaches": "analysis.decisions.approaches",
    "isoflop_minima": "analysis.decisions.isoflop",
    "envelope": "analysis.decisions.training_envelope",
    "loss_left": "analysis.decisions.off_optimum",
    "Choices": "analysis.judgement.multiverse",
    "fit_multiverse": "analysis.judgement.multiverse",
    "Target": "analysis.decisions.target",
    "read_target": "analysis.decisions.target",
    "choose_next": "analysis.decisions.next_runs",
    "reach_target": "analysis.decisions.reach",
    "cheapest": "analysis.decisions.off_optimum",
    "tokens_to_loss": "analysis.decisions.off_optimum",
    "critical_batch": "analysis.decisions.off_optimum",
    "asymptotes": "analysis.fitting.asymptotes",
    "average_parameters": "analysis.laws.average_parameters",
    "lr_batch": "analysis.fitting.lr_batch",
    "best_schedule": "analysis.decisions.schedule_search",
    "refit_without_each": "analysis.decisions.schedule_search",
    "pass_rate": "analysis.laws.task_pass_rate",
    "regret": "analysis.fitting.lr_batch",
    "held_out_regret": "analysis.decisions.held_out_cells",
    "task_chain": "analysis.fitting.task_chain",
    "scores": "analysis.judgement.accuracy",
    "forecast_run": "analysis.forecasts.forecast",
    "forecast_study": "analysis.forecasts.forecasting",
    "Forecast": "analysis.forecasts.forecast",
    "Imported": "analysis.importers.assemble",
    "read_runs": "analysis.importers.read",
    "read_table": "analysis.importers.points",
    "read_wandb": "analysis.importers.wandb_api",
    "save_study": "analysis.importers.study",
    "load": "analysis.tables.runs",
    "load_curves": "analysis.tables.runs",
    "study_plan": "analysis.tables.runs",
    "answer_study": "analysis.reporting.answering",
    "Answer": "analysis.reporting.answer",
    "with_intervals": "analysis.reporting.answer",
    "write_report": "analysis.reporting.report",
    "give_verdict": "analysis.reporting.verdict",
    "write_verdict": "analysis.reporting.verdict",
    "expect": "analysis.intervals.expected",
    "optimum": "analysis.decisions.parabola",
    "tuned": "analysis.decisions.parabola",
    "seed_noise": "analysis.tables.noise",
    "thin_curves": "analysis.tables.thinning",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name from the file it lives in, the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute {name!r}; it has {__all__}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
