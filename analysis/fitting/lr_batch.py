"""The laws of the best learning rate and the best batch, fitted to a sweep.

They are fitted to the runs whose loss is within a fraction of a per cent of the best of their
(N, D). Exponents depend on that fraction; the regret (the excess loss of the predicted pair over
the best of the sweep) hardly does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.lr_batch import BEST_BATCH, BEST_LR
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.clusters import row_labels
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.numbers import numbers_in
from scalinglab.analysis.tables.validation_sets import refuse_different_sets, with_common_sets
from scalinglab.scaling.errors import UserError

_NONE: Mapping = {}
_TOLD = ("width", "depth", "arm", "optimizer")  # columns that tell recipes of one N and D apart


@dataclass(frozen=True, repr=False)
class LrBatch(Shown):
    """Both laws of a sweep.

    Attributes
    ----------
    lr, batch : Result
    sweep : DataFrame
        N, D, lr, batch and loss of every run, ``cell`` (its N and D) and ``excess`` (its loss over
        the best of its cell, minus one).
    within : float
        Runs with at most this excess were fitted.
    """

    lr: Result
    batch: Result
    sweep: pd.DataFrame
    within: float

    def predict(self, data: pd.DataFrame, level: float | None = None) -> pd.DataFrame:
        """``lr`` and ``batch`` for rows of N and D; with `level`, ``lr_lower`` and so on."""
        table = pd.DataFrame(index=data.index)
        for name, result in {"lr": self.lr, "batch": self.batch}.items():
            prediction = result.predict(data, level)
            table[name] = prediction[name]
            if level is not None:
                table[f"{name}_lower"], table[f"{name}_upper"] = (
                    prediction["lower"],
                    prediction["upper"],
                )
        return table

    def regret(self) -> pd.Series:
        """Excess loss that the laws' choice costs in each cell; see `regret`."""
        chosen = self.predict(self.sweep)
        return regret(self.sweep, chosen["lr"], chosen["batch"])

    @property
    def shown(self) -> Overview:
        """As `Shown`: the parameters of both laws, and what their choice costs."""
        lr, batch = self.lr.shown, self.batch.shown
        warnings = tuple(dict.fromkeys((*lr.warnings, *batch.warnings)))
        title = f"Best learning rate and batch, from {len(self.sweep)} runs"
        return Overview(title, lr.tables | batch.tables, (self._cost_in_words(),), warnings)

    def report(self) -> str:
        """Both fits as text, and what their choice costs."""
        regrets = f"[[Regret]]\n    {self._cost_in_words()}"
        return f"{self.lr.report()}\n{self.batch.report()}\n{regrets}"

    def _cost_in_words(self) -> str:
        cost = self.regret()
        return (
            f"excess loss of the chosen runs over the best of {len(cost)} cells: mean"
            f" {cost.mean():.3%}, largest {cost.max():.2%}"
        )


def good_runs(sweep: pd.DataFrame, within: float) -> pd.DataFrame:
    """The runs of a sweep to which its laws are fitted: see `lr_batch`."""
    return sweep[sweep["excess"] <= within]


def regret(sweep: pd.DataFrame, lr: pd.Series, batch: pd.Series) -> pd.Series:
    """Excess loss of the runs nearest to a choice, one of each cell.

    Parameters
    ----------
    sweep : DataFrame
        With ``lr, batch, cell`` and ``excess``, as in `LrBatch.sweep`.
    lr, batch : Series
        What is chosen for each row's N and D; nearest in the logarithms of both.
    """
    away = np.log(sweep["lr"] / lr) ** 2 + np.log(sweep["batch"] / batch) ** 2
    nearest = sweep.loc[away.groupby(sweep["cell"]).idxmin()]
    return nearest.set_index("cell")["excess"]


def _cells(sweep: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """The cell of each run: runs of equal N and D, and of one recipe."""
    recipe = sweep[[c for c in _TOLD if c in sweep.columns and c not in table]]
    return row_labels(pd.concat([table[["N", "D"]], recipe], axis=1))


def lr_batch(
    sweep: pd.DataFrame,
    *,
    within: float = 0.0025,
    columns: Mapping[str, str] = _NONE,
    **options: Any,
) -> LrBatch:
    """Fit the laws of the best learning rate and the best batch to a sweep (arXiv:2503.04715).

    Parameters
    ----------
    sweep : DataFrame
        One row per run: N, D, lr, batch (in tokens) and loss, several lr and batch for each (N, D).
    within : float
        Fit the runs whose loss is at most this share above the best of their (N, D).
    columns : mapping, optional
        Column of the law -> column of the table, where they differ.
    **options
        As in `analysis.fit`; runs of one (N, D) are one cluster.

    Raises
    ------
    UserError
        If a column is missing or `within` is negative; else as `analysis.fit`.
    """
    if within < 0:
        raise UserError(f"within={within!r} must not be negative")
    sweep = with_multiples(with_common_sets(sweep, columns.values()), columns)
    refuse_different_sets(sweep, [columns.get("loss", "loss")])
    table = pd.DataFrame(index=sweep.index)
    for name in ("N", "D", "lr", "batch", "loss"):
        source = columns.get(name, name)
        if source not in sweep.columns:
            raise UserError(f"lr_batch needs column {source!r} (say columns={{{name!r}: ...}})")
        table[name] = numbers_in(sweep, source)
    table["cell"] = _cells(sweep, table)
    table["excess"] = table["loss"] / table.groupby("cell")["loss"].transform("min") - 1
    good, options = good_runs(table, within), {"cluster": "cell", **options}
    return LrBatch(fit(BEST_LR, good, **options), fit(BEST_BATCH, good, **options), table, within)
