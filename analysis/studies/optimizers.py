"""How many tokens an optimizer saves, from those that the baseline needs for the same loss.

speed-up = (tokens at which the baseline's law reaches the loss) / (tokens used), at finished
schedules only: rankings change while the learning rate falls (arXiv 2509.02046).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import interval_in_words, quantiles
from scalinglab.analysis.laws.power import POWER_PLUS_CONSTANT, x_at_loss
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import groups_of, names_of, records_of, rows_of
from scalinglab.scaling.errors import UserError

FINISHED = 0.1  # of the peak: a schedule that ends higher is not finished
_MISSED = 1.05  # the baseline's own speed-up by its law, from which that is said


@VERDICTS.register("optimizers")
def judge(
    runs: pd.DataFrame,
    *,
    baseline: str = "adamw",
    arm: str = "optimizer.name",
    resamples: int = 300,
    delta: float | str | None = None,
) -> Finding:
    """Judge arms by the tokens that the baseline's law needs for their losses.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, lr, loss, final_ratio`` and `arm`; of several LRs the best mean over seeds counts.
    baseline : str
        The arm whose law in D is fitted, at every size.
    arm : str
        Column that distinguishes the arms.
    resamples : int
        Of the law, for the intervals.
    delta : float or str, optional
        Of the law; see `analysis.fit`.

    Raises
    ------
    UserError
        If the baseline is missing or has fewer than four budgets at a size.
    """
    warnings = []
    unfinished = runs["final_ratio"] > FINISHED
    if unfinished.any():
        warnings.append(
            f"{int(unfinished.sum())} runs end above {FINISHED:.0%} of their peak LR "
            "and are left out: rankings change while the LR falls"
        )
    runs = runs[~unfinished]
    if baseline not in set(runs[arm]):
        raise UserError(
            f"baseline = {baseline!r} has no finished schedule; there are: "
            f"{', '.join(sorted(map(str, runs[arm].unique()))) or 'none'}"
        )
    rows: list[dict[str, Any]] = []
    losses: list[Captioned] = []
    for n, size in groups_of(runs, "N"):
        points = best_of_each(size, arm)
        base = points[points[arm] == baseline]
        if base["D"].nunique() < 4:
            raise UserError(
                f"the baseline has {base['D'].nunique()} token budgets at N {n:,.0f}; "
                "its law in D needs at least 4"
            )
        law = fit(POWER_PLUS_CONSTANT, base, x="D", resamples=resamples, seed=0, delta=delta)
        warnings += [*_edges(size, points, arm), *_misfit(law, base, baseline, n)]
        text = f"N = {short(n)}: loss of every run against tokens, at the best settings of each."
        tuned = size.merge(points.drop(columns="loss"))
        losses.append((text, drawn(plot.measured_against, tuned, "D", by=arm)))
        for row in records_of(points[points[arm] != baseline]):
            rows.append(
                {
                    "arm": row[arm],
                    "N": n,
                    "D": row["D"],
                    "loss": row["loss"],
                    **_speed(law, row["loss"], row["D"], base["D"]),
                }
            )
    table = pd.DataFrame(rows)
    if table.empty:
        raise UserError(f"every run is of the baseline {baseline!r}: nothing to compare")
    return Finding(
        _sentences(table, baseline),
        {"Speed-up": table},
        [*_figures(table, baseline), *losses],
        warnings,
        sources=["Wen et al. 2025, arXiv:2509.02046"],
    )


def _figures(table: pd.DataFrame, baseline: str) -> list[Captioned]:
    """The speed-up against the tokens used, a figure a size."""
    shown = table.assign(speedup_lower=table["lower"], speedup_upper=table["upper"])
    labels = ("", f"tokens {baseline} needs / tokens used")
    text = (
        "speed-up in tokens against the tokens used; bars: 95% intervals. Above 1 it saves tokens."
    )
    return [
        (
            f"N = {short(n)}: {text}",
            drawn(plot.measured_against, size, "D", "speedup", by="arm", labels=labels),
        )
        for n, size in groups_of(shown, "N")
    ]


def best_of_each(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The best tuned setting of each arm and D, the mean over its seeds."""
    settings = [c for c in names_of(runs) if c.startswith("optimizer.") and c != arm]
    keys = [arm, "D", "lr", *settings]
    means = runs.groupby(keys, dropna=False)["loss"].mean().reset_index()
    means = means[np.isfinite(means["loss"])]
    return means.loc[means.groupby([arm, "D"])["loss"].idxmin()].reset_index(drop=True)


def _edges(runs: pd.DataFrame, points: pd.DataFrame, arm: str) -> list[str]:
    """Arms whose best LR is the end of three or more: another might do better, and its law too."""
    sentences = []
    for name, cell in points.groupby(arm):
        ends = []
        for point in cell.itertuples():
            tried = runs.loc[(runs[arm] == name) & (runs["D"] == point.D), "lr"]
            if tried.nunique() > 2 and point.lr in (tried.min(), tried.max()):
                ends.append(f"{point.D:,.0f}")
        if ends:
            sentences.append(
                f"{name}, N {runs['N'].iloc[0]:,.0f}: the best LR is the end of its grid at D "
                f"{', '.join(ends)}; it may do better than is said"
            )
    return sentences


def _misfit(law: Result, base: pd.DataFrame, baseline: str, n: int) -> list[str]:
    """A warning if the baseline's law gives the baseline itself a speed-up far from one."""
    multiples = [x_at_loss(p.loss, **law.params) / p.D for p in rows_of(base)]
    if np.abs(np.log(multiples)).max() < np.log(_MISSED):
        return []
    return [
        f"N {n:,.0f}: the law of {baseline} gives its own points speed-ups of {min(multiples):.2f}"
        f" to "
        f"{max(multiples):.2f}; differences of that size are the law's"
    ]


def _speed(law: Result, loss: float, tokens: float, measured: pd.Series) -> dict[str, Any]:
    """Speed-up with its interval; infinite where the baseline's law never gets there."""
    best = x_at_loss(loss, **law.params) / tokens
    draws = np.array([x_at_loss(loss, **draw) / tokens for draw in records_of(law.draws)])
    low, high = quantiles(draws, 0.95)
    inside = measured.min() <= best * tokens <= measured.max()
    return {"speedup": best, "lower": low, "upper": high, "inside": bool(inside)}


def _sentences(table: pd.DataFrame, baseline: str) -> list[str]:
    sentences = []
    for name, arm_rows in table.groupby("arm"):
        longest = arm_rows.loc[arm_rows.groupby("N")["D"].idxmax()].sort_values("N")
        values = "; ".join(
            f"{r.speedup:.2f}{interval_in_words(r.lower, r.upper, '.2f')} at N {r.N:,.0f}, D"
            f" {r.D:,.0f}" + ("" if r.inside else f", beyond what {baseline} was measured at")
            for r in rows_of(longest)
        )
        sure = (longest["lower"] > 1).all()
        slower = (longest["upper"] < 1).all()
        verdict = "saves tokens" if sure else "costs tokens" if slower else "is not told apart"
        sentences.append(f"{name} {verdict}: speed-up over {baseline} {values}.")
    return sentences
