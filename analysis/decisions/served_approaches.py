"""Which approaches to the best split a design of runs can serve, before any of them is trained."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.isoflop import LEAST_SIZES, SAME_COST, budgets_of
from scalinglab.analysis.decisions.training_envelope import LEAST_TAKEOVERS, envelope
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.registry import read_as
from scalinglab.scaling.records.plan_file import AnswerConfig

_LEAST_BUDGETS = 2  # of a line through minima


def served_in_words(answer: AnswerConfig, points: pd.DataFrame) -> str:
    """Which of the three approaches of arXiv:2203.15556 planned runs can serve; empty if unasked.

    Only the design is looked at: whether a minimum lies inside its sizes, losses will say. With a
    reference law (``study.answer.reference``) its losses say where larger sizes take over.

    Parameters
    ----------
    answer : AnswerConfig
        What the study asks for.
    points : DataFrame
        Planned runs: ``N, D`` and ``role`` (joined by commas).
    """
    fitted = points[["fit" in roles.split(",") for roles in points["role"]]]
    law = read_as(answer.law)
    if answer.kind != "law" or set(law.columns) != {"N", "D"} or fitted.empty:
        return ""
    fitted = fitted.assign(C=6.0 * fitted["N"] * fitted["D"])
    curves = [table for _, table in fitted.groupby(budgets_of(fitted))]
    enough = sum(
        table["N"].nunique() >= LEAST_SIZES
        and float(np.ptp(np.log(table["C"].to_numpy(float)))) <= np.log(SAME_COST)
        for table in curves
    )
    serves = {
        "the fitted law (surface)": "",
        "the envelope of final losses": _lacks_of_envelope(law, answer, fitted),
        "IsoFLOP minima": ""
        if enough >= _LEAST_BUDGETS
        else f"need {LEAST_SIZES} sizes near the best one at each of {_LEAST_BUDGETS} budgets or"
        f" more (blocks of generator=isoflop); {enough} of {len(curves)} budgets"
        f" {'has' if enough == 1 else 'have'} {LEAST_SIZES}",
    }
    listed = ", ".join(name for name, lack in serves.items() if not lack)
    lacks = "".join(f"; {name} {lack}" for name, lack in serves.items() if lack)
    return f"approaches to the best split that this design serves: {listed}{lacks}"


def _lacks_of_envelope(law: Law, answer: AnswerConfig, fitted: pd.DataFrame) -> str:
    """What an envelope needs that the runs lack; empty if nothing."""
    needs = f"needs {LEAST_TAKEOVERS} sizes that take over from a smaller one"
    if set(answer.reference) == set(law.names):
        params = np.array([[answer.reference[name] for name in law.names]])
        exact = fitted.assign(loss=law.predict(params, law.read(fitted))[0])
        seen = len(envelope(exact, resamples=0).table)
        return "" if seen >= LEAST_TAKEOVERS else f"{needs}; by the reference law {seen} do"
    ranges = [(t["C"].min(), t["C"].max()) for _, t in fitted.groupby("N") if t["D"].nunique() > 1]
    shared = sum(low < high for (_, high), (low, _) in pairwise(ranges))
    return "" if shared >= LEAST_TAKEOVERS else f"{needs}; {shared} share a range of C with one"
