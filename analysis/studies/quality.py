"""Which part of a corpus is best to train on, and whether that depends on compute.

Arms are pools cut by a score, from the best few documents to all; each counts at its best learning
rate, and all have one validation set. A strict filter runs out of tokens and repeats them, so the
best pool may change with the length of the run (arXiv 2404.07177). The verdict is that it changes
only if two arms change places by more than the least effect of the design on both sides.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis import plot
from scalinglab.analysis.intervals.power import (
    LEVEL,
    PLANNED_NOISE,
    UNRESOLVED,
    Design,
    least_effect,
)
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.quality_law import judge_by_law
from scalinglab.analysis.tables.noise import SeedScatter, seed_scatter
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings, trial_columns
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

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
        Column that distinguishes the pools.
    resamples : int
        Resamples of the fits.
    delta : float or str, optional
        Huber threshold of the fits, as in `analysis.fit`.
    design : Design, optional
        Which effects the comparison can show, by the planned noise.

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
    law_sentences, more, warnings = judge_by_law(runs, best, sizes, arm, resamples, delta, cells)
    edges = [
        warning
        for name, of_pool in groups_of(tried, arm)
        for warning in edge_warnings(of_pool, _CELL, "sizes and lengths", where=f"{name}: ")
    ]
    return Finding(
        [*sentences, *law_sentences],
        {**tables, **more, "Losses at the best learning rate": _losses(means, sizes, arm)},
        _figures(best, sizes, arm),
        [*warnings, *edges],
        sources=["Goyal et al. 2024, arXiv:2404.07177"],
    )


def _scatter(runs: pd.DataFrame, arm: str, design: Design | None) -> SeedScatter:
    """The noise between seeds: the planned one, or the measured one if that is larger."""
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
    """Whether the best pool changes: two change places, each time beyond the least effect."""
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
                "per_doubling_lower": slope - half,
                "per_doubling_upper": slope + half,
                "verdict": _direction(slope) if abs(slope) > half else UNRESOLVED,
            }
        )
    return pd.DataFrame(rows, columns=[*_TREND])


def _direction(slope: float) -> str:
    return "falls" if slope < 0 else "rises"


_TREND = (
    "pool",
    "beside",
    "mean",
    "per_doubling",
    "per_doubling_lower",
    "per_doubling_upper",
    "verdict",
)


def _trend(row: Any) -> str:
    return (
        f"With each doubling of tokens the loss of {row['pool']} {row['verdict']} by"
        f" {abs(row['per_doubling']):.2%} beside that of {row['beside']}"
        f" ({row['per_doubling_lower']:+.2%} to {row['per_doubling_upper']:+.2%})."
    )


def _losses(means: pd.DataFrame, sizes: pd.Series, arm: str) -> pd.DataFrame:
    table = means.pivot_table("mean", _CELL, arm)[[*sizes.index]]
    return table.reset_index().rename_axis(columns=None)


def _figures(best: pd.DataFrame, sizes: pd.Series, arm: str) -> list[Captioned]:
    """Loss against tokens by pool, smallest pool first; a figure a size."""
    names = {name: f"{name} ({short(tokens)} tokens)" for name, tokens in sizes.items()}
    ordered = best.assign(pool=best[arm].map(names), place=best[arm].map([*names].index))
    text = "loss of every run at the best learning rate, by pool. Lines: means over seeds."
    return [
        (
            f"N = {short(size)}: {text}",
            drawn(plot.measured_against, of_size.sort_values("place"), "D", by="pool"),
        )
        for size, of_size in groups_of(ordered, "N")
    ]
