"""Models that shrink or grow while they train: Chinchilla's surface in their average size.

A model that is pruned during pre-training, or grown, ends at the loss of a dense one with the
average of its parameter counts over training. For a dense model that is its size, and the law is
Chinchilla's.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from scalinglab.analysis.laws.chinchilla import CHINCHILLA, chinchilla_gradient
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.registry import register
from scalinglab.scaling.errors import UserError


def _value(
    N_mean: Array, D: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array
) -> Array:
    return CHINCHILLA.value(N=N_mean, D=D, E=E, A=A, alpha=alpha, B=B, beta=beta)


def _gradient(
    N_mean: Array, D: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array
) -> tuple[Array, dict[str, Array]]:
    return chinchilla_gradient(N=N_mean, D=D, E=E, A=A, alpha=alpha, B=B, beta=beta)


def average_parameters(stages: pd.DataFrame) -> pd.DataFrame:
    """One row per run, with the columns that the law `avg_params` reads.

    Parameters
    ----------
    stages : DataFrame
        One row per stretch of a run at one size: ``run``, ``N`` (parameters in it) and ``tokens``
        (trained on in it, not since the beginning).

    Returns
    -------
    DataFrame
        Index: the runs. ``N_mean``: parameters, averaged over tokens; ``D``: tokens of the run.

    Raises
    ------
    UserError
        If a column is missing, or holds a number that is not positive.
    """
    for column in ("run", "N", "tokens"):
        if column not in stages:
            raise UserError(f"the stages of a run need column {column!r}")
    for column in ("N", "tokens"):
        if not (stages[column] > 0).all():
            raise UserError(f"column {column!r} must hold positive numbers")
    sums = stages.assign(weighted=stages["N"] * stages["tokens"]).groupby("run")
    D = sums["tokens"].sum()
    return pd.DataFrame({"N_mean": sums["weighted"].sum() / D, "D": D})


AVG_PARAMS: Law = register(
    replace(
        CHINCHILLA,
        name="avg_params",
        formula="L = E + A / N_mean^alpha + B / D^beta",
        source="Jin et al. 2025, arXiv:2501.12486",
        columns={
            "N_mean": "parameters, averaged over the tokens of training",
            "D": "training tokens seen",
        },
        value=_value,
        gradient=_gradient,
        best_size=None,
        reference={},
        rival="",
    )
)
