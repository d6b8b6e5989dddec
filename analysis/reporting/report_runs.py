"""Sections of the report on the runs themselves, and what a page tells of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.reporting.left_out_runs import roles_in_words
from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.reporting.report_figures import run_curves
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import FLOPS
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import BY_SIZE

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.reported_runs import ReportedRuns

_MOST_CURVES = 150  # a page of more runs holds no curves
_CURVE_POINTS = 40  # of each curve


def runs_sections(answer: ReportedRuns) -> list[Section]:
    """The table of the runs."""
    return [Section("The runs", tables=[_run_table(answer)])]


def _run_table(answer: ReportedRuns) -> pd.DataFrame:
    arm = [] if answer.arm is None else [answer.arm]
    columns = [
        "run_id",
        "role",
        "status",
        *arm,
        "width",
        "depth",
        "N",
        "n_total",
        "D",
        "C",
        "lr",
        "schedule",
        "seed",
        "loss",
        "bpb",
        "seconds",
    ]
    columns = [name for name in dict.fromkeys(columns) if answer.runs[name].notna().any()]
    runs = answer.runs.assign(role=roles_in_words(answer.runs))[columns].astype({"C": float})
    # An imported file may have a C of its own, and so may what a program trained.
    if answer.runs["flops_convention"].isin([FLOPS, BY_SIZE]).all():
        runs = runs.rename(columns={"C": "C = 6 N D"})
    return runs


def run_details(answer: ReportedRuns) -> pd.DataFrame:
    """The details that a page shows of each run: all columns that hold a value."""
    columns_with_values = answer.runs.dropna(axis=1, how="all")
    return columns_with_values.drop(columns=["study", "fingerprint"], errors="ignore")


def curves_of_runs(answer: ReportedRuns) -> dict[str, tuple[list, list]]:
    """run_id -> steps and losses of its thinned curve; empty if there are too many runs."""
    if len(answer.runs) > _MOST_CURVES:
        return {}
    try:
        curves = load_curves(answer.outputs, run_ids=answer.runs["run_id"])
    except (UserError, OSError):
        return {}  # an imported table has none
    return run_curves(curves, _MOST_CURVES, _CURVE_POINTS) if len(curves) else {}


def machine_sections(answer: ReportedRuns) -> list[Section]:
    """The table of machines and versions, if the runs have records."""
    if answer.machines.empty:
        return []
    return [Section("Machines and versions", tables=[answer.machines])]
