"""Does a curve law fitted to some schedules predict the others, and rank them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from scalinglab.analysis import plot
from scalinglab.analysis.default_laws import CURVE_LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.judgement.accuracy import scores
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.plot.law_lines import LEVEL
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.typed import groups_of, highest, lowest
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

_TOGETHER = 3  # curves in one figure


@VERDICTS.register("schedules")
def judge(
    runs: pd.DataFrame,
    *,
    curves: pd.DataFrame,
    fitted: Sequence[str],
    law: str = CURVE_LAW,
    resamples: int = 100,
    delta: float | str | None = None,
) -> Finding:
    """Fit a curve law to the blocks `fitted` and predict the curves of all others.

    Parameters
    ----------
    runs : DataFrame
        ``run_id, block, status``.
    curves : DataFrame
        From `analysis.load_curves`: ``run, step, lr, loss``.
    fitted : list of str
        Blocks of the study whose curves the law sees.
    law : str
        A law of curves.
    resamples : int
        Of the fit, for the intervals of what it predicts.
    delta : float or str, optional
        Of the fit; see `analysis.fit`.

    Raises
    ------
    UserError
        If a block has no finished curve, or none is left to be predicted.
    """
    names = runs[runs["status"] == State.DONE].set_index("run_id")["block"]
    curves = curves[curves["run"].isin(names.index)].drop(columns="cluster", errors="ignore")
    curves = curves.assign(block=curves["run"].map(names))
    missing = sorted(set(fitted) - set(curves["block"]))
    if missing or set(fitted) >= set(curves["block"]):
        raise UserError(
            f"fitted = {list(fitted)}: "
            + (
                f"no finished curve of {', '.join(missing)}"
                if missing
                else "no other schedule is left to be predicted"
            )
        )
    is_fitted = curves["block"].isin(fitted)
    result = fit(law, curves[is_fitted], resamples=resamples, seed=0, delta=delta)
    table = pd.DataFrame(
        [
            _row(curve, result, curve["block"].iloc[0] in fitted)
            for _, curve in groups_of(curves, "run")
        ]
    ).sort_values("final", ignore_index=True)
    unseen = table[table["role"] == "predicted"]
    return Finding(
        _sentences(result.law.name, table, unseen, fitted),
        {"Schedules": table.drop(columns="run_id")},
        _figures(curves, table, result, fitted),
        list(result.warnings),
        sources=[result.law.source],
    )


def _row(curve: pd.DataFrame, result: Result, is_fitted: bool) -> dict[str, Any]:
    measured = curve["loss"].to_numpy()
    prediction = result.predict(curve, level=LEVEL if len(result.draws) else None)
    predicted = np.asarray(prediction["loss"])
    fit_scores = scores(curve["loss"], predicted)
    last = np.flatnonzero(np.isfinite(measured))[-1]
    ends = ("lower", "upper") if len(result.draws) else ()
    return {
        "schedule": curve["block"].iloc[0],
        "role": "fitted" if is_fitted else "predicted",
        "final": measured[last],
        "law": predicted[last],
        **{f"law_{end}": np.asarray(prediction[end])[last] for end in ends},
        "relative error": predicted[last] / measured[last] - 1,
        "r2": fit_scores["r2"],
        "mae": fit_scores["mae"],
        "run_id": str(curve["run"].iloc[0]),
    }


def _sentences(
    law: str, table: pd.DataFrame, unseen: pd.DataFrame, fitted: Sequence[str]
) -> list[str]:
    worst = highest(unseen.assign(size=unseen["relative error"].abs()), "size")
    sentences = [
        f"{law}, fitted to {' and '.join(fitted)}, predicts the final loss of {len(unseen)} "
        f"other schedules to {unseen['relative error'].abs().mean():.2%} on average, at worst "
        f"{worst['relative error']:+.2%} ({worst['schedule']})."
    ]
    if len(table) > 2:
        tau = kendalltau(table["final"], table["law"]).statistic
        best, thought = table.iloc[0], lowest(table, "law")
        sentences.append(
            f"Its ranking of all {len(table)} agrees with the measured one to Kendall's "
            f"tau {tau:.2f}; the best is {best['schedule']!r}"
            + (
                ", as it says."
                if thought["schedule"] == best["schedule"]
                else f", it says {thought['schedule']!r}."
            )
        )
    return sentences


def _figures(
    curves: pd.DataFrame, table: pd.DataFrame, result: Result, fitted: Sequence[str]
) -> list[Captioned]:
    """The final losses beside those of the law; the fitted curves with the worst one; the others."""
    names = list(dict.fromkeys([*fitted, *_worst_first(table)]))
    others = [name for name in names if name not in fitted]
    law = {
        "run_id": "run_id",
        "final": "law",
        "final_lower": "law_lower",
        "final_upper": "law_upper",
    }
    by_law = pd.DataFrame({k: table[v] for k, v in law.items() if v in table})
    by_law = by_law.assign(schedule=table["schedule"], of=f"{result.law.name}")
    both = pd.concat([table[["run_id", "schedule", "final"]].assign(of="measured"), by_law])
    options: dict[str, Any] = {"by": "of", "labels": ("schedule", "final " + LOSS), "joined": False}
    ends = drawn(plot.measured_against, both, "schedule", "final", **options)
    text = (
        "Final loss of each schedule, measured and by the law, lowest first. Bars: 95% intervals."
    )
    figures = [(text, ends)]
    curves = curves.assign(schedule=curves["block"])
    for start in range(0, len(names), _TOGETHER):
        shown = names[start : start + _TOGETHER]
        of_these = curves[curves["schedule"].isin(shown)]
        figure = drawn(plot.curves, of_these, result, held_out=others)
        text = "Validation loss against the step: points measured, lines of the law"
        figures.append((f"{text} ({', '.join(shown)}).", figure))
    return figures


def _worst_first(table: pd.DataFrame) -> list[str]:
    """Schedules by how far the law misses their final loss."""
    return list(table.loc[table["relative error"].abs().sort_values()[::-1].index, "schedule"])
