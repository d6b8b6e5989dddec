"""The law of pools of quality, for a study of quality: what it predicts of longer runs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.best_filter import best_filter, nested_pools
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.power import (
    UNRESOLVED,
)
from scalinglab.analysis.laws.quality_pools import quality_pools_law

_AHEAD = (1, 4, 16, 64)  # multiples of the largest D at which the law predicts


def judge_by_law(
    runs: pd.DataFrame,
    best: pd.DataFrame,
    sizes: pd.Series,
    arm: str,
    resamples: int,
    delta: float | str | None,
    cells: pd.DataFrame,
) -> tuple[list[str], dict[str, pd.DataFrame], list[str]]:
    """What a law of the shorter runs predicts of the longest, and a law of all of longer ones.

    Returns
    -------
    list of str, dict of str to DataFrame, list of str
        Sentences, tables by title, warnings.
    """
    if not _are_nested(runs) or sizes.duplicated().any():
        return [], {}, ["the pools do not contain each other: no law of pools is fitted"]
    size = best["N"].max()
    # Without the recipe: the fit would warn that the pools differ in it, as they should.
    of_size = best[best["N"] == size].drop(columns=["recipe", "U"], errors="ignore")
    of_size = of_size.join(nested_pools(_by_name(sizes)), on=arm)
    longest = of_size["D"].max()
    law = quality_pools_law(list(sizes.index))
    shorter = of_size[of_size["D"] < longest]
    if len(shorter) <= len(law.parameters):
        return [], {}, [f"{len(shorter)} runs are too few for the law of {len(sizes)} pools"]
    before = fit(law, shorter, resamples=0, delta=delta)
    sentences = [_tested(before, of_size[of_size["D"] == longest], sizes, arm, cells)]
    every = fit(law, of_size, resamples=resamples, seed=0, delta=delta)
    times: tuple[int, ...] = _AHEAD
    if "tau" in every.diagnosis.unidentified or not (of_size["D"] > of_size["U"]).any():
        sentences.append(
            "These runs do not tell how fast repeated tokens lose their worth (tau): of longer"
            " runs, which repeat their pools more, the law says nothing."
        )
        times = _AHEAD[:1]
    further = [best_filter(every, _by_name(sizes), m * longest) for m in times]
    ahead = pd.concat(
        [predictions.assign(D=m * longest) for m, predictions in zip(times, further, strict=True)]
    )
    tables = {
        f"Pools by the law, N {size:,.0f}": ahead[["D", *(c for c in ahead if c != "D")]],
        "Parameters": every.summary.reset_index(),
    }
    return sentences, tables, [f"the law of pools: {w}" for w in every.warnings]


def _tested(
    law: Result, longest: pd.DataFrame, sizes: pd.Series, arm: str, cells: pd.DataFrame
) -> str:
    """Which pool the law of the shorter runs chooses for the longest, and what that costs."""
    measured = longest.groupby(arm)["loss"].mean()
    D = float(longest["D"].iloc[0])
    predicted = best_filter(law, _by_name(sizes), D).set_index("filter")["loss"]
    predicted = predicted[measured.index]
    error = float(np.sqrt(np.mean(np.log(predicted / measured) ** 2)))
    chosen = str(predicted.idxmin())
    regret = float(measured[chosen] / measured.min() - 1)
    cell = cells[(cells["N"] == longest["N"].iloc[0]) & (cells["D"] == D)]
    least = float(cell["detected_from"].iloc[0]) if len(cell) else np.nan
    small = f", {UNRESOLVED}" if 0 < regret < least else ""
    end = (
        "the best as measured" if regret == 0 else f"{regret:.2%} above {measured.idxmin()}{small}"
    )
    return (
        f"The law of the shorter runs of N {longest['N'].iloc[0]:,.0f} chooses {chosen} for "
        f"{D:,.0f} tokens: {end}; its error there is {error:.2%}."
    )


def _by_name(sizes: pd.Series) -> dict[str, float]:
    return {str(name): float(tokens) for name, tokens in sizes.items()}


def _are_nested(runs: pd.DataFrame) -> bool:
    """Whether all pools are the best part by one score; assumed for tables that do not say."""
    if "data.select.keep" not in runs:
        return True
    keys = [f"data.select.{key}" for key in ("keep", "by", "skip", "where", "seed")]
    chosen = runs[keys].dropna(how="all").drop_duplicates()
    return len(chosen) == 1 and not chosen["data.select.skip"].iloc[0]
