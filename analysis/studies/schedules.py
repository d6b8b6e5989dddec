"""Does a curve law fitted to some schedules predict the others, and rank them?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from scalinglab.analysis.default_laws import CURVE_LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.judgement.accuracy import scores
from scalinglab.analysis.plot.labels import LOSS, STEP
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.draw import panels
from scalinglab.analysis.tables.typed import groups_of, highest, lowest
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@VERDICTS.register("schedules")
def judge(
    runs: pd.DataFrame,
    *,
    curves: pd.DataFrame,
    fitted: Sequence[str],
    law: str = CURVE_LAW,
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
    result = fit(law, curves[is_fitted], resamples=0, delta=delta)
    predicted = {
        run: np.asarray(result.predict(curve)["loss"]) for run, curve in groups_of(curves, "run")
    }
    table = pd.DataFrame(
        [
            _row(curve, predicted[run], curve["block"].iloc[0] in fitted)
            for run, curve in curves.groupby("run")
        ]
    ).sort_values("final")
    unseen = table[table["role"] == "predicted"]
    return Finding(
        _sentences(result.law.name, table, unseen, fitted),
        {"Schedules": table},
        [
            (
                "Validation loss: dots measured, lines predicted or fitted.",
                _figure(curves, predicted),
            )
        ],
        list(result.warnings),
        sources=[result.law.source],
    )


def _row(curve: pd.DataFrame, predicted: np.ndarray, is_fitted: bool) -> dict:
    measured = curve["loss"].to_numpy()
    fit_scores = scores(curve["loss"], predicted)
    last = np.flatnonzero(np.isfinite(measured))[-1]
    return {
        "schedule": curve["block"].iloc[0],
        "role": "fitted" if is_fitted else "predicted",
        "final": measured[last],
        "law": predicted[last],
        "relative error": predicted[last] / measured[last] - 1,
        "r2": fit_scores["r2"],
        "mae": fit_scores["mae"],
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


def _figure(curves: pd.DataFrame, predicted: dict[str, np.ndarray]) -> Figure:
    figure = panels(
        [
            (
                "",
                [
                    (curve["block"].iloc[0], curve["step"], curve["loss"])
                    for _, curve in curves.groupby("run")
                ],
            )
        ],
        STEP,
        LOSS,
    )
    ax = figure.axes[0]
    for line, (run, curve) in zip(list(ax.lines), groups_of(curves, "run"), strict=True):
        line.set_linestyle("none")
        ax.plot(curve["step"], predicted[run], lw=1, color=line.get_color())
    measured = curves["loss"].dropna()
    ax.set_ylim(measured.min() * 0.97, np.quantile(measured, 0.75) * 1.2)
    return figure
