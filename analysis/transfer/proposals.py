"""The runs that narrow the answer most per FLOP: fresh seeds, one more seed, or a larger size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.typed import groups_of, records_of
from scalinglab.analysis.transfer.decision import narrowing
from scalinglab.analysis.transfer.ladder_runs import ARM, SIZE
from scalinglab.analysis.transfer.multiplier_line import MultiplierLine

FRESH_PAIRS = 2  # of a size that has none: fewer tell no spread
_LARGER = 3.0  # times the largest compute
COLUMNS = ("N", "D", "C", "seed", "arms", "new_size", "cost", "half_width")


def propose_runs(
    line: MultiplierLine, fresh: pd.DataFrame, arms: tuple[str, str], target: float
) -> pd.DataFrame:
    """The next runs once three sizes have pairs, the best first.

    Parameters
    ----------
    line : MultiplierLine
    fresh : DataFrame
        Runs that chose nothing, with `SIZE` as in `line`.
    arms : (str, str)
    target : float
        FLOPs.

    Returns
    -------
    DataFrame
        ``N, D, C``; ``seed`` (a list) and ``arms`` of the runs; ``new_size``; ``cost`` (FLOPs);
        ``half_width`` of the log multiplier at the target that is then expected (NaN: no interval).
    """
    now = line.at(1.0)
    gain = narrowing(line, now)
    rows = []
    for size, cell in groups_of(fresh, SIZE):
        C = float(line.sizes.C[size])
        half = now.half_width - gain[size] * C if np.isfinite(now.half_width) else np.nan
        row = next_seed(cell, arms, C) | {"half_width": half}
        rows.append((gain[size] * 2 * C / row["cost"], row))
    if target > line.sizes.C[-1] and np.isfinite(now.half_width):
        row = _larger(line, fresh, arms, target)
        rows.append(((now.half_width - row["half_width"]) / row["cost"] * 2, row))
    rows.sort(key=lambda proposal: -proposal[0])
    return pd.DataFrame([row for _, row in rows], columns=list(COLUMNS))


def propose_fresh(runs: pd.DataFrame, paired: set[int], arms: tuple[str, str]) -> pd.DataFrame:
    """Fresh seeds of the chosen trials at sizes without a pair of them, the cheapest first.

    Parameters
    ----------
    runs : DataFrame
        All runs of both arms: their seeds may have chosen a trial.
    paired : set of int
        Sizes that have a pair.
    arms : (str, str)
    """
    rows = []
    for _, cell in groups_of(runs[~runs[SIZE].isin(paired)], SIZE):
        first = int(cell["seed"].max()) + 1
        C = float(cell["C"].median())
        rows.append(
            _place(cell)
            | {
                "C": C,
                "seed": [first + k for k in range(FRESH_PAIRS)],
                "arms": list(arms),
                "new_size": False,
                "cost": 2 * FRESH_PAIRS * C,
                "half_width": np.nan,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("cost", ignore_index=True)


def next_seed(cell: pd.DataFrame, arms: Sequence[str], C: float) -> dict[str, Any]:
    """The pair of which one run exists, else one with a new seed."""
    seeds = [set(cell.loc[cell[ARM] == arm, "seed"].astype(int)) for arm in arms]
    halves = sorted(seeds[0] ^ seeds[1])
    seed = halves[0] if halves else max(seeds[0] | seeds[1]) + 1
    missing = [arm for arm, arm_seeds in zip(arms, seeds, strict=True) if seed not in arm_seeds]
    return _place(cell) | {
        "C": C,
        "seed": [seed],
        "arms": missing,
        "new_size": False,
        "cost": len(missing) * C,
    }


def _place(cell: pd.DataFrame) -> dict[str, Any]:
    return {"N": float(cell["N"].iloc[0]), "D": float(cell["D"].iloc[0])}


def _larger(
    line: MultiplierLine, fresh: pd.DataFrame, arms: tuple[str, str], target: float
) -> dict[str, Any]:
    """Two pairs at a size beyond the largest, no further than the target."""
    sizes = line.sizes
    times = min(_LARGER, target / sizes.C[-1])
    ends = [records_of(fresh[fresh[SIZE] == size])[0] for size in (0, len(sizes.C) - 1)]
    # N and D grow on as they do along the ladder.
    share = float(np.log(ends[1]["N"] / ends[0]["N"]) / np.log(sizes.C[-1] / sizes.C[0]))
    C, cost = sizes.C[-1] * times, sizes.cost[-1] * times
    y = line.at(C / target).value
    slope = max(float(line.law.slope(np.array([cost]))[0]), 1e-6)
    expected = replace(
        sizes,
        C=np.append(sizes.C, C),
        cost=np.append(sizes.cost, cost),
        dearer=np.append(sizes.dearer, sizes.dearer[-1]),
        baseline=np.append(sizes.baseline, line.law.loss(cost)),
        ratio=np.append(sizes.ratio, -(y + sizes.dearer[-1]) * slope),
        counts=np.append(sizes.counts, FRESH_PAIRS),
        squares=np.append(sizes.squares, sizes.pooled),
        dearer_squares=np.append(sizes.dearer_squares, sizes.pooled_dearer),
    )
    first = int(fresh["seed"].max()) + 1
    return {
        "N": float(ends[1]["N"]) * times**share,
        "D": float(ends[1]["D"]) * times ** (1 - share),
        "C": C,
        "seed": [first + k for k in range(FRESH_PAIRS)],
        "arms": list(arms),
        "new_size": True,
        "cost": 2 * FRESH_PAIRS * C,
        "half_width": MultiplierLine.of(expected, target, line.known).at(1.0).half_width,
    }
