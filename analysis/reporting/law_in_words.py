"""A fitted law in sentences: its parameters, and how well it predicted what it had not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit_text import render
from scalinglab.analysis.intervals.spread import (
    IMPOSSIBLE,
    calibration_in_words,
    missing_draws_in_words,
)
from scalinglab.analysis.plot.labels import ERROR
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.powers import in_print, short
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

_HOW = ("Fit", "Correlations", "Held out")  # sections of a fit's text that no table shows


def how_fitted(law: Result) -> str:
    """How a law was fitted, as text; other parts of a page show parameters and warnings."""
    return in_print(render(law, _HOW).replace("[[", "").replace("]]", ""))


def parameters_in_words(result: Result) -> str:
    """The exponents and floors of a law, with their intervals; empty if it has none."""
    law = result.law
    names = (*law.parameters_with_role("exponent"), *law.parameters_with_role("floor"))
    if not names:
        return ""
    ends = result.summary[["lower", "upper"]]
    named, has_intervals = [], bool(ends.notna().all(axis=None))
    for name in names:
        low, high = ends.loc[name]
        if name in result.diagnosis.unidentified:
            named.append(f"{name} is not identified by these runs")
        else:
            between = f" ({low:.3f} to {high:.3f})" if has_intervals else ""
            named.append(f"{name} = {result.params[name]:.3f}{between}")
    intervals = (
        f"Intervals are {result.settings['level']:.0%}."
        if has_intervals
        else "There are no intervals."
    )
    return f"Fitted law: {'; '.join(named)}. {intervals}"


def tests_in_words(result: Result, held_out: pd.DataFrame) -> str:
    """How well held-out runs, and the largest fitted ones, were predicted.

    Parameters
    ----------
    result : Result
    held_out : DataFrame
        As `Answer.held_out`.
    """
    tests = [_held_out_test(held_out), _refit_test(result)]
    return " ".join(filter(None, tests)) or (
        "No run was held out: how far the law extrapolates is not tested."
    )


def _refit_test(result: Result) -> str:
    """The worse of the refits without the largest runs, as in the text of the fit."""
    by_size = result.held_out
    if by_size is None:
        return ""
    accounts = [account for account in (by_size, by_size.get("budget")) if account is not None]
    worst = max(accounts, key=lambda a: np.inf if np.isnan(a["error"]) else abs(a["error"]))
    return f"Tested by refitting without the largest runs: {worst['sentence']}."


def _held_out_test(held_out: pd.DataFrame) -> str:
    if held_out.empty:
        return ""
    error, count = held_out["error"], len(held_out)
    runs = "1 held-out run was" if count == 1 else f"{count} held-out runs were"
    covered = held_out["covered"].dropna()
    inside = ""
    if not covered.empty:
        # Of the same base as the errors: of a loss measured at an end of its interval.
        ends = 1 / held_out[["lower", "upper"]].div(held_out["predicted"], axis=0)
        away = float((ends - 1).abs().max().max())
        inside = (
            f"; {int(covered.sum())} of {len(covered)} lie within their intervals, which reach"
            f" to errors of up to {away:.0%}"
        )
    return f"{runs} predicted with a mean absolute error of {error.abs().mean():.2%}{inside}."


def held_out_runs_in_words(result: Result, held_out: pd.DataFrame) -> str:
    """A line a held-out run: predicted, measured and error; empty if there is none."""
    if held_out.empty:
        return ""
    ends = {"lower": "predicted_lower", "upper": "predicted_upper"}
    rows = [
        f"- N {short(r['N'], 3)}, D {short(r['D'], 3)}:"
        f" predicted {value_text(r, 'predicted', '.4f')},"
        f" measured {r['loss']:.4f}, error {r['error']:+.2%}"
        for r in records_of(held_out.rename(columns=ends))
    ]
    wider = (
        f", intervals {calibration_in_words(result.calibration_factor)}"
        if result.calibration_factor > 1
        else ""
    )
    share = 0.0 if result.settings["withheld"] else float(held_out["impossible"].max())
    lost = missing_draws_in_words(share, result.settings["level"], IMPOSSIBLE)
    title = f"Held-out runs, not fitted{wider} (errors: {ERROR}):"
    return "\n".join([title, *rows, *([lost] if lost else [])])
