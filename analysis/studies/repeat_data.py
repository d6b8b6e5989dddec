"""The worth of repeated tokens: R_D of the law of repeated data, and the best number of epochs.

A grid of sizes, pools and epochs. The law (`data_constrained`, arXiv 2305.16264) gives the worth of
repeated tokens. Its loss never rises with epochs, but the measured loss does. So for each size and
pool the verdict gives the epochs of least loss, and whether more epochs made it worse beyond the
noise between seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.power import UNRESOLVED, least_effect
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.noise import SeedScatter, seed_scatter
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.trials import edge_warnings, trial_columns, trials_chosen
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

LAW, RIVAL = "data_constrained", "repetition_penalty"


@VERDICTS.register("repeat_data")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "data.unique_tokens",
    resamples: int = 200,
    delta: float | str | None = None,
) -> Finding:
    """Judge runs of several sizes that repeat pools of several sizes, at the best of their rates.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, data.unique_tokens, epochs, seed, loss, role``.
    arm : str
        Column that distinguishes the pools.
    resamples : int
        Of the fits.
    delta : float or str, optional
        Huber threshold of the fits, as in `analysis.fit`.

    Raises
    ------
    UserError
        If no run repeats its pool, or the pools are all of one size.
    """
    cell = [arm, "N", "D"]
    ended = runs[np.isfinite(runs["loss"].astype(float))]
    scatter = seed_scatter(ended, by=[*cell, *trial_columns(runs, cell)])
    edges = edge_warnings(runs, [arm, "N", "D"], "pools, sizes and lengths")
    runs = trials_chosen(runs, arm)
    runs = runs[np.isfinite(runs["loss"].astype(float))]
    if runs["epochs"].max() <= 1:
        raise UserError("no run repeats its pool: data.unique_tokens and data.max_epochs let it")
    # Of a pool that is not used up the run sees its own tokens only.
    points = runs.assign(U=np.minimum(runs[arm], runs["D"]))
    ahead = with_role(points, "held_out")
    fitted = points.drop(ahead.index)
    law = fit(LAW, fitted, resamples=resamples, delta=delta)
    onsets = _onsets(points, arm, scatter)
    sentences = [_worth(law), _turns(onsets)]
    warnings = [*edges, *(f"{LAW}: {w}" for w in law.warnings)]
    if len(ahead):
        rival = fit(RIVAL, fitted, resamples=0, delta=delta)
        texts = [
            f"{name} {_error(result, ahead):.2%}" for name, result in ((LAW, law), (RIVAL, rival))
        ]
        sentences.append(f"Error on {len(ahead)} runs that were not fitted: {', '.join(texts)}.")
    tables = {"Least loss of each size and pool": onsets, "Parameters": law.summary.reset_index()}
    return Finding(sentences, tables, _figures(points, arm, law), warnings, [law.law.source])


def _worth(law: Result) -> str:
    if "R_D" in law.diagnosis.unidentified:
        return "These runs do not tell what a repeated token is worth: R_D is not identified."
    low, high = law.interval("R_D") if len(law.draws) else (np.nan, np.nan)
    between = f" ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() else ""
    return (
        f"R_D = {law.params['R_D']:.3g}{between}: after so many repetitions a further one is worth"
        " 1/e of new tokens."
    )


def _onsets(points: pd.DataFrame, arm: str, scatter: SeedScatter) -> pd.DataFrame:
    """Of each size and pool that is repeated: the epochs of least loss, and what more did."""
    rows: list[dict[str, Any]] = []
    for (size, unique), cell in groups_of(points, ["N", arm]):
        if cell["epochs"].max() <= 1:
            continue
        by_length = cell.groupby("D").agg(loss=("loss", "mean"), seeds=("loss", "size"))
        losses = by_length["loss"].to_numpy()  # the longest last
        best, last = by_length.index[int(losses.argmin())], by_length.index[-1]
        rise = float(losses[-1] / losses.min() - 1)
        least = least_effect(scatter.noise, int(by_length["seeds"].min()), scatter.spare)
        rows.append(
            {
                "N": size,
                "pool": unique,
                "epochs_of_least_loss": best / unique,
                "most_epochs": last / unique,
                "loss": float(losses.min()),
                "rise": rise,
                "detected_from": least,
                "turned": "no" if best == last else "yes" if rise > least else UNRESOLVED,
            }
        )
    return pd.DataFrame(rows)


def _turns(onsets: pd.DataFrame) -> str:
    turned = onsets[onsets["turned"] == "yes"]
    if turned.empty:
        return (
            f"The loss of no size and pool rises with more epochs beyond the noise, up to"
            f" {onsets['most_epochs'].max():.3g} epochs."
        )
    first = turned.iloc[int(turned["epochs_of_least_loss"].argmin())]
    return (
        f"{len(turned)} of {len(onsets)} sizes and pools over-fit: the first is N "
        f"{first['N']:,.0f} on {first['pool']:,.0f} tokens, whose loss is least after "
        f"{first['epochs_of_least_loss']:.3g} epochs and {first['rise']:.1%} higher after "
        f"{first['most_epochs']:.3g}."
    )


def _error(result: Result, ahead: pd.DataFrame) -> float:
    errors = np.log(result.predict(ahead)["loss"].to_numpy() / ahead["loss"].to_numpy())
    return float(np.sqrt(np.mean(errors**2)))


def _figures(points: pd.DataFrame, arm: str, law: Result) -> list[Captioned]:
    """Loss against epochs, a figure a size, and what the law misses."""
    text = "loss of every run against epochs, by its pool. Lines: means over seeds."
    by_pool = points.sort_values(arm)
    by_pool = by_pool.assign(pool=[f"pool of {short(tokens)} tokens" for tokens in by_pool[arm]])
    figures = [
        (
            f"N = {short(size)}: {text}",
            drawn(plot.measured_against, of_size, "epochs", by="pool", labels=("epochs", LOSS)),
        )
        for size, of_size in groups_of(by_pool, "N")
    ]
    ahead = with_role(points, "held_out")
    options: dict[str, Any] = {"x": "D", "held_out": ahead if len(ahead) else None}
    missed = drawn(plot.residuals, law, points.drop(ahead.index), **options)
    return [*figures, (f"What the law {LAW} misses of each run.", missed)]
