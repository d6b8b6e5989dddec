"""Which parameters two arms share, by likelihood ratios and by holding out the largest size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.extrapolation import top_rows
from scalinglab.analysis.fitting.lockstep import in_lockstep
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
    hypotheses = _hypotheses(law)
    asked = [FitOptions(**options, shared=list(names)) for _, names in hypotheses]
    # With and without the largest size a hypothesis is one law: these two fits share their steps.
    calls: list[Callable[[], BestFit | float]] = []
    for one in asked:
        calls += [partial(best_fit, law, runs, one), partial(_held_out, law, runs, one)]
    answers = in_lockstep(calls)
    fits = [answer for answer in answers if isinstance(answer, BestFit)]
    held_out = [answer for answer in answers if isinstance(answer, float)]
    rows = []
    for (words, names), tied, error in zip(hypotheses, fits, held_out, strict=True):
        rise = float(tied.best.value[0] - fits[0].best.value[0])
        degrees = len(fits[0].misfit.space.free) - len(tied.misfit.space.free)
        ratio = max(2 * fits[0].information * rise, 0.0)
        row: dict[str, Any] = {"shared": words, "parameters": names, "ratio": ratio}
        p = float(chdtrc(degrees, ratio)) if degrees else np.nan
        rows.append(row | {"degrees": degrees, "p": p, "held_out": error})
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
