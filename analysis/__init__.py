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
    "fit": "analysis.fitter",
    "Result": "analysis.result",
    "read_fit": "analysis.store",
    "profile_likelihood": "analysis.profile",
    "hold_out": "analysis.holdout",
    "ArmComparison": "analysis.arms",
    "arm_settings": "analysis.arms_settings",
    "compare_arm_curves": "analysis.arms_curves",
    "compare_arms": "analysis.arms",
    "runs_by_arm": "analysis.arms_settings",
    "compare_laws": "analysis.compare",
    "Comparison": "analysis.compare",
    "delta_sensitivity": "analysis.sensitivity",
    "allocate": "analysis.allocation",
    "compare_approaches": "analysis.approaches",
    "isoflop_minima": "analysis.isoflop",
    "envelope": "analysis.training_envelope",
    "loss_left": "analysis.off_optimum",
    "Choices": "analysis.multiverse",
    "fit_multiverse": "analysis.multiverse",
    "Target": "analysis.target",
    "read_target": "analysis.target",
    "choose_next": "analysis.next_runs",
    "reach_target": "analysis.reach",
    "cheapest": "analysis.off_optimum",
    "tokens_to_loss": "analysis.off_optimum",
    "critical_batch": "analysis.off_optimum",
    "asymptotes": "analysis.laws.asymptotes",
    "average_parameters": "analysis.laws.average_parameters",
    "lr_batch": "analysis.laws.lr_batch",
    "best_schedule": "analysis.schedule_search",
    "refit_without_each": "analysis.schedule_search",
    "pass_rate": "analysis.laws.task_pass_rate",
    "regret": "analysis.laws.lr_batch",
    "held_out_regret": "analysis.held_out_cells",
    "task_chain": "analysis.laws.task_chain",
    "scores": "analysis.accuracy",
    "forecast_run": "analysis.forecast",
    "forecast_study": "analysis.forecasting",
    "Forecast": "analysis.forecast",
    "Imported": "analysis.importers.reading",
    "read_runs": "analysis.importers.read",
    "read_wandb": "analysis.importers.wandb_export",
    "save_study": "analysis.importers.study",
    "load": "analysis.runs",
    "load_curves": "analysis.runs",
    "study_plan": "analysis.runs",
    "answer_study": "analysis.answer",
    "Answer": "analysis.answer",
    "with_intervals": "analysis.answer",
    "write_report": "analysis.report",
    "give_verdict": "analysis.verdict",
    "write_verdict": "analysis.verdict",
    "expect": "analysis.expected",
    "optimum": "analysis.parabola",
    "tuned": "analysis.parabola",
    "seed_noise": "analysis.noise",
    "thin_curves": "analysis.thinning",
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
