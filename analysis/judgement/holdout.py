"""Hold part of the points out, fit the rest, and score the prediction of what was held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.extrapolation import top_rows
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import IMPOSSIBLE, inside_interval, missing_draws_in_words
from scalinglab.analysis.judgement.accuracy import scores
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.registry import read_as
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import column_named
from scalinglab.scaling.errors import UserError


@dataclass(frozen=True, repr=False)
class HeldOut(Shown):
    """A prediction of held-out points.

    Attributes
    ----------
    result : Result
        The fit without them.
    table : DataFrame
        The held-out rows with ``measured``, ``predicted``, ``lower``, ``upper``, ``contained`` (NaN
        without an interval), ``relative_error`` (predicted / measured - 1), ``inside``, ``beyond``
        and ``impossible``, as `Result.predict` gives them.
    by : str
        The column that separates them.
    """

    result: Result
    table: pd.DataFrame
    by: str

    @property
    def shown(self) -> Overview:
        """As `Shown`: the outcome in a sentence, and a row a held-out point."""
        ends = {"lower": "predicted_lower", "upper": "predicted_upper"}
        names = [self.by, "measured", "predicted", *ends, "contained", "relative_error", "beyond"]
        table = self.table[[name for name in dict.fromkeys(names) if name in self.table]]
        table = table.rename(columns=ends | {"relative_error": "relative error"})
        return Overview(f"Held out by {self.by}", {"": table}, (self.report(),))

    @property
    def scores(self) -> dict[str, float]:
        """`analysis.scores`, ``coverage`` of the intervals (NaN without any), and ``beyond``."""
        return scores(self.table["measured"], self.table["predicted"]) | {
            "coverage": float(self.table["contained"].mean()),
            "beyond": float(self.table["beyond"].max()),
        }

    def report(self) -> str:
        """The outcome in one sentence."""
        s = self.scores
        where = "inside" if s["beyond"] <= 1 else f"{s['beyond']:.2g}x beyond"
        level, judged = self.result.settings["level"], int(self.table["contained"].notna().sum())
        of = "" if judged == s["points"] else f" of the {judged} that have one"
        covered = (
            f"{s['coverage']:.0%} inside the {level:.0%} interval{of}"
            if judged
            else "no interval can be given"
        )
        lost = missing_draws_in_words(float(self.table["impossible"].max()), level, IMPOSSIBLE)
        return (
            f"{self.result.law.name} predicts {s['points']} held-out points ({where} the measured"
            f" range) {s['relative_error']:+.2%} off; {s['one_sided']:.0%} of the errors on one"
            f" side, {covered}"
            + (f"; {lost}" if lost and not self.result.settings["withheld"] else "")
        )


def hold_out(
    law: str | Law,
    data: pd.DataFrame,
    *,
    by: str | None = None,
    value: Any = None,
    **options: Any,
) -> HeldOut:
    """Fit without some rows and predict them.

    Parameters
    ----------
    law, data, **options
        As in `analysis.fit`.
    by : str, optional
        Column that separates, by the table's name or the law's: default the law's first column
        (the size).
    value : number, label or list of labels, optional
        Rows with at least this number, or with one of these labels, are held out. Default: the
        largest rung, or the top tenth where sizes hardly repeat.

    Raises
    ------
    UserError
        If the column is missing, or nothing or everything would be held out.
    """
    first = read_as(law)
    data = with_multiples(data, options.get("columns"))
    by = column_named(data, by, named(options), "by") if by else first_column(first, options)
    if by not in data.columns:
        raise UserError(f"the table has no column {by!r}; by= names that whose rows are held out")
    is_held_out = _held(data[by], value)
    if is_held_out.all() or not is_held_out.any():
        count = f"{int(is_held_out.sum())} of {len(data)} rows"
        raise UserError(f"column {by!r}, value={value!r} holds out {count}")
    options = {"beyond": _beyond(data, is_held_out, named(options)), **options}
    result = fit(law, data[~is_held_out], **options)
    response = result.columns[first.response]
    predicted = result.predict(data[is_held_out], level=result.settings["level"])
    table = data[is_held_out].assign(
        measured=data.loc[is_held_out, response],
        predicted=predicted[first.response],
        **{name: predicted[name] for name in ("lower", "upper", "inside", "beyond", "impossible")},
    )
    table["relative_error"] = table["predicted"] / table["measured"] - 1
    table["contained"] = inside_interval(table["measured"], table)
    return HeldOut(result, table[table["measured"].notna() & table["predicted"].notna()], by)


def _beyond(data: pd.DataFrame, is_held_out: np.ndarray, names: Mapping[str, str]) -> float | None:
    """How many times beyond the largest fitted budget the held-out rows lie, as `fit` takes it."""
    columns = [names.get(name, name) for name in ("N", "D")]
    if not all(c in data and pd.api.types.is_numeric_dtype(data[c]) for c in columns):
        return None
    budget = data[columns].prod(axis=1, min_count=2)
    return float(budget[is_held_out].max() / budget[~is_held_out].max())


def first_column(law: Law, options: Mapping[str, Any]) -> str:
    """Column of the table that a law reads first."""
    name = next(iter(law.inputs))
    return named(options).get(name, name)


def named(options: Mapping[str, Any]) -> dict[str, str]:
    """The law's names of columns -> the table's, as the options of a fit say."""
    x = {"x": options["x"]} if options.get("x") else {}
    return {**(options.get("columns") or {}), **x}


def _held(column: pd.Series, value: Any) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        if value is None:
            raise UserError(f"column {column.name!r} holds labels; say which with value=")
        labels = [value] if isinstance(value, str) else list(value)
        return column.isin(labels).to_numpy()
    if value is None:
        return top_rows(column.to_numpy(float))
    return (column >= value).to_numpy()
