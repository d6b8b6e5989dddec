"""Which part of a corpus is best to train on, and whether that depends on compute.

Arms are pools cut by a score, from the best few documents to all; each counts at the best of its
learning rates, and all have one validation set. A strict filter runs out of tokens and repeats
them, so which is best may change with the length of the run (arXiv 2404.07177). It is said to
change only where two arms change places by more than the least effect of the design on both sides.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis.decisions.best_filter import best_filter, nested_pools
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.power import (
    LEVEL,
    PLANNED_NOISE,
    UNRESOLVED,
    Design,
    least_effect,
)
from scalinglab.analysis.laws.quality_pools import quality_pools_law
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.draw import panels
from scalinglab.analysis.tables.noise import SeedScatter, seed_scatter
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings, trial_columns
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_AHEAD = (1, 4, 16, 64)  # times the largest D, at which the law is asked
_CELL = ["N", "D"]


@VERDICTS.register("quality")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "block",
    resamples: int = 200,
    delta: float | str | None = None,
    design: Design | None = None,
) -> Finding:
    """Judge runs of several pools of quality, sizes and lengths.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, lr, seed, loss, unique_tokens`` and `arm`.
    arm : str
        What tells the pools apart.
    resamples : int
        Of the fits.
    delta : float or str, optional
        Huber threshold of the fits, as in `analysis.fit`.
    design : Design, optional
        What the comparison can tell, by the noise that was planned with.

    Raises
    ------
    UserError
        If there are no two pools, or no two of one size and length.
    """
    tried, runs = runs, runs[np.isfinite(runs["loss"].astype(float))]
    sizes = runs.groupby(arm)["unique_tokens"].max().sort_values(kind="stable")
    if len(sizes) < 2:
        raise UserError(f"{arm} tells no two pools apart: a study of quality compares some")
    scatter = _scatter(runs, arm, design)
    best = at_best_lr(tried, [arm, *_CELL])
    means = best.groupby([*_CELL, arm])["loss"].agg(["mean", "size"]).reset_index()
    cells = pd.DataFrame(
        [
            _cell(cell, of_cell, arm, scatter)
            for cell, of_cell in groups_of(means, _CELL)
            if len(of_cell) > 1
        ]
    )
    if cells.empty:
        raise UserError("no two pools were trained at one size and length: nothing compares")
    sentences = [_depends(means, cells, arm, scatter)]
    trends = _trends(means, sizes.index.tolist(), arm, scatter)
    sentences += [_trend(row) for _, row in trends.iterrows() if row["verdict"] != UNRESOLVED]
    tables = {"Best pool of each size and length": cells, "Change with tokens": trends}
    law_sentences, more, warnings = _by_law(runs, best, sizes, arm, resamples, delta, cells)
    edges = [
        warning
        for name, of_pool in groups_of(tried, arm)
        for warning in edge_warnings(of_pool, _CELL, "sizes and lengths", where=f"{name}: ")
    ]
    return Finding(
        [*sentences, *law_sentences],
        {**tables, **more, "Losses at the best learning rate": _losses(means, sizes, arm)},
        [("Loss against tokens, by pool.", _figure(means, sizes, arm))],
        [*warnings, *edges],
    )


def _scatter(runs: pd.DataFrame, arm: str, design: Design | None) -> SeedScatter:
    """The noise between seeds: that which was planned with, or the measured one if it is larger."""
    from_repeats = seed_scatter(runs, by=[arm, *_CELL, *trial_columns(runs, [arm, *_CELL])])
    planned = PLANNED_NOISE if design is None else design.noise
    return SeedScatter(
        float(np.nanmax([planned, from_repeats.noise])), from_repeats.seeds, from_repeats.spare
    )


def _cell(cell: Any, of_cell: pd.DataFrame, arm: str, scatter: SeedScatter) -> dict[str, Any]:
    """The best pool of a size and length, and by how much it is better than the next."""
    ranked = of_cell.sort_values("mean", kind="stable")
    lead = float(ranked["mean"].iloc[1] / ranked["mean"].iloc[0] - 1)
    least = least_effect(scatter.noise, int(of_cell["size"].min()), scatter.spare)
    return {
        "N": cell[0],
        "D": cell[1],
        "best": ranked[arm].iloc[0],
        "next": ranked[arm].iloc[1],
        "lead": lead,
        "detected_from": least,
        "verdict": "best" if lead > least else UNRESOLVED,
    }


def _depends(means: pd.DataFrame, cells: pd.DataFrame, arm: str, scatter: SeedScatter) -> str:
    """Whether the best pool changes: two that change places, each time beyond the least effect."""
    table = means.pivot_table("mean", _CELL, arm).apply(np.log)
    leasts = cells.set_index(_CELL)["detected_from"].reindex(table.index)
    for pool_a, pool_b in combinations(cells["best"].unique(), 2):
        lead = (table[pool_b] - table[pool_a]).dropna()
        ahead, behind = lead[lead > leasts[lead.index]], lead[lead < -leasts[lead.index]]
        if len(ahead) and len(behind):
            return (
                f"Yes, the best pool depends on compute: {pool_a} is {np.expm1(ahead.max()):.2%} "
                f"better than {pool_b} at {_at(ahead.idxmax())}, and "
                f"{np.expm1(-behind.min()):.2%} worse at {_at(behind.idxmin())}."
            )
    first = cells["best"].mode().iloc[0]
    if (cells["best"] == first).all() and (cells["verdict"] == "best").all():
        return f"No: {first} is the best pool at all {len(cells)} sizes and lengths."
    counts = cells["best"].value_counts()
    listed = ", ".join(f"{name} at {count}" for name, count in counts.items())
    least, sure = cells["detected_from"].min(), int((cells["verdict"] == "best").sum())
    return (
        f"{UNRESOLVED.capitalize()}: the lowest loss has {listed} of {len(cells)} sizes and "
        f"lengths, at {sure} of them by more than the {least:.2%} that is detected there."
    )


def _at(cell: Any) -> str:
    return f"N {cell[0]:,.0f}, {cell[1]:,.0f} tokens"


def _trends(means: pd.DataFrame, arms: list[str], arm: str, scatter: SeedScatter) -> pd.DataFrame:
    """How the log loss of each pool, less that of the largest, changes with a doubling of tokens.

    Lines of one slope through the lengths of each size. Runs of several lengths share their trunk,
    so their errors are correlated, and the intervals are rather too wide.
    """
    table = means.pivot_table("mean", _CELL, arm).apply(np.log)
    rows = []
    for name in arms[:-1]:
        lead = (table[name] - table[arms[-1]]).dropna()
        x = pd.Series(np.log2(lead.index.get_level_values("D").astype(float)), lead.index)
        x -= x.groupby(level="N").transform("mean")
        spread = float((x**2).sum())
        if spread == 0:
            continue
        slope = float((x * lead).sum() / spread)
        half = np.nan
        if scatter.spare:
            error = scatter.noise * np.sqrt(2 / max(1, scatter.seeds) / spread)
            half = float(stdtrit(scatter.spare, (1 + LEVEL) / 2) * error)
        rows.append(
            {
                "pool": name,
                "beside": arms[-1],
                "mean": float(lead.mean()),
                "per_doubling": slope,
                "lower": slope - half,
                "upper": slope + half,
                "verdict": UNRESOLVED
                if not abs(slope) > half
                else "falls"
                if slope < 0
                else "rises",
            }
        )
    return pd.DataFrame(rows, columns=[*_TREND])


_TREND = ("pool", "beside", "mean", "per_doubling", "lower", "upper", "verdict")


def _trend(row: Any) -> str:
    return (
        f"With each doubling of tokens the loss of {row['pool']} {row['verdict']} by"
        f" {abs(row['per_doubling']):.2%} beside that of {row['beside']} ({row['lower']:+.2%} to"
        f" {row['upper']:+.2%})."
    )


def _by_law(
    runs: pd.DataFrame,
    best: pd.DataFrame,
    sizes: pd.Series,
    arm: str,
    resamples: int,
    delta: float | str | None,
    cells: pd.DataFrame,
) -> tuple[list[str], dict[str, pd.DataFrame], list[str]]:
    """What the law of the shorter runs says of the longest, and that of all of longer ones."""
    if not _are_nested(runs) or sizes.duplicated().any():
        return [], {}, ["the pools do not contain each other: no law of pools is fitted"]
    size = best["N"].max()
    # That the pools are different recipes is what is asked.
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


def _losses(means: pd.DataFrame, sizes: pd.Series, arm: str) -> pd.DataFrame:
    table = means.pivot_table("mean", _CELL, arm)[[*sizes.index]]
    return table.reset_index().rename_axis(columns=None)


def _figure(means: pd.DataFrame, sizes: pd.Series, arm: str) -> Figure:
    panes = []
    for size, of_size in groups_of(means, "N"):
        lines = []
        for name in sizes.index:
            of_pool = of_size[of_size[arm] == name].sort_values("D")
            lines.append((f"{name} ({sizes[name]:,.0f})", of_pool["D"], of_pool["mean"]))
        panes.append((f"N {size:,.0f}", lines))
    return panels(panes, "tokens", f"{LOSS} at the best learning rate")
