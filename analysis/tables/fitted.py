"""The table that a study's law is fitted to: final losses of its runs, or whole curves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scalinglab.analysis.laws.registry import read_as
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import COUNTS_FROM, load
from scalinglab.analysis.tables.study_runs import require, study_plan
from scalinglab.analysis.tables.validation_sets import as_loss
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.flops import DEFAULT_CONVENTION


def fitted_runs(
    outputs: str | Path,
    study: str,
    law: str | None = None,
    *,
    n_count: str | None = None,
    flops: str = DEFAULT_CONVENTION,
    loss: str | None = None,
) -> tuple[pd.DataFrame, str]:
    """The table that a law is fitted to in a study, and the name of the law.

    A law of curves gets the curves of the runs with the role "curve", without the schedule that the
    study holds out; any other law gets the runs with the role "fit".

    Parameters
    ----------
    outputs, study
        Where the study lies.
    law : str, optional
        Default: the study's own.
    n_count : str, optional
        The count that is N; default "n_matmul". Imported runs may have only one count.
    flops : str
        The convention of the column C.
    loss : str, optional
        A measured column that is taken as the loss.

    Raises
    ------
    UserError
        If there is no such study, law or column, the study has no finished run to fit, or its runs
        were imported with another count of N.
    """
    answer = study_plan(outputs, study).study.answer
    law = law or answer.law
    if read_as(law).curve:
        return as_loss(_fitted_curves(outputs, study, answer.curve_held_out), loss), law
    runs = load(outputs, study=study, role="fit", n_count=n_count or "n_matmul", flops=flops)
    runs = as_loss(require(runs, outputs, study, "fit"), loss)
    other_counts = sorted(set(runs["n_count"].dropna()) - {n_count})
    if n_count and other_counts:
        is_stated = COUNTS_FROM in runs and runs[COUNTS_FROM].notna().any()
        way = (
            "the program gives others as counts in its final.json"
            if is_stated
            else "columns.vocab and columns.width at the import give other counts"
        )
        raise UserError(
            f"n_count = {n_count!r}: runs of study {study!r} have N = {other_counts[0]} alone; "
            f"{way}"
        )
    return runs, law


def _fitted_curves(outputs: str | Path, study: str, held_out: str | None) -> pd.DataFrame:
    curves = load_curves(outputs, study=study, role="curve")
    require(curves, outputs, study, "curve")
    fitted = curves[curves["schedule"] != held_out]
    if fitted.empty:
        raise UserError(
            f"every finished curve of study {study!r} has the schedule {held_out!r}, which is held"
            f" out: scaling launch study={study} trains what is left"
        )
    # Runs of one study share initial weights and data: as one cluster they could not be resampled.
    return fitted.drop(columns="cluster")
