"""Which parameters two arms share, by likelihood ratios and by holding out the largest size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit
from scalinglab.analysis.fitting.extrapolation import top_rows
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.scaling.errors import UserError

_STARTS = 16  # fewer than the 64 of a fit: each of five hypotheses is fitted twice


def sharing_tests(law: Law, runs: pd.DataFrame, fit_options: Mapping[str, Any]) -> pd.DataFrame:
    """Test one hypothesis after another: the arms share their floor, their exponents, everything.

    The robust cost is no likelihood, so its rise is scaled by the spread of the residuals, as in
    `analysis.profile_likelihood`; rows are taken to be independent. The error held out is the
    mean absolute one of the largest size, predicted by the same fit without it.

    Returns
    -------
    DataFrame
        ``shared`` (words), ``parameters``, ``ratio`` (chi-squared if the hypothesis holds),
        ``degrees``, ``p`` and ``held_out``; the first row shares nothing.
    """
    options = {"starts": _STARTS} | {k: v for k, v in fit_options.items() if k != "shared"}
    free = best_fit(law, runs, FitOptions(**options, shared=[]))
    rows = []
    for words, names in _hypotheses(law):
        row: dict[str, Any] = {"shared": words, "parameters": names}
        tied = free if not names else best_fit(law, runs, FitOptions(**options, shared=list(names)))
        rise = float(tied.best.value[0] - free.best.value[0])
        degrees = len(free.misfit.space.free) - len(tied.misfit.space.free)
        ratio = max(2 * free.information * rise, 0.0)
        row |= {
            "ratio": ratio,
            "degrees": degrees,
            "p": float(chdtrc(degrees, ratio)) if degrees else np.nan,
        }
        row["held_out"] = _held_out(law, runs, FitOptions(**options, shared=list(names)))
        rows.append(row)
    return pd.DataFrame(rows)


def _held_out(law: Law, runs: pd.DataFrame, options: FitOptions) -> float:
    """Mean absolute error of the largest size; NaN where the rest does not suffice for a fit."""
    top: Array = top_rows(runs["N"].to_numpy(float))
    try:
        fitted = best_fit(law, runs[~top], options)
    except UserError:
        return np.nan
    space = fitted.misfit.space
    columns = space.law.read(runs[top].rename(columns={options.arm or "": "arm"}))
    predicted = space.law.predict(space.expand(fitted.best.coordinates), columns)[0]
    return float(np.mean(np.abs(predicted / runs.loc[top, "loss"].to_numpy(float) - 1)))


def _hypotheses(law: Law) -> list[tuple[str, tuple[str, ...]]]:
    floor, exponents = law.parameters_with_role("floor"), law.parameters_with_role("exponent")
    hypotheses: list[tuple[str, tuple[str, ...]]] = [("nothing", ())]
    if floor:
        hypotheses.append((" and ".join(floor), floor))
    if exponents:
        hypotheses.append(("the exponents", exponents))
    if floor and exponents:
        hypotheses.append((f"{' and '.join(floor)} and the exponents", (*floor, *exponents)))
    return [*hypotheses, ("everything: one recipe", tuple(law.names))]
