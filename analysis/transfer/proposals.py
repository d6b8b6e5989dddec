"""The runs that narrow the answer most for their FLOPs: a seed more at a size, or a larger size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from scalinglab.analysis.transfer.ladder_runs import ARM, SIZE
from scalinglab.analysis.transfer.multiplier_line import MultiplierLine
from scalinglab.analysis.transfer.size_means import SizeMeans

_LARGER = 3.0  # times the largest compute
_NEW_PAIRS = 2


def propose_runs(
    line: MultiplierLine, fresh: pd.DataFrame, arms: tuple[str, str], target: float
) -> pd.DataFrame:
    """What to run next, the best first.

    Returns
    -------
    DataFrame
        ``N, D, C``; ``seed`` (a list) and ``arms`` of the runs; ``new_size``; ``cost`` (FLOPs);
        ``half_width`` of the log multiplier at the target that is then expected (infinite: still
        no interval), and ``narrowing`` per FLOP.
    """
    now = line.at(1.0).half_width
    sizes, growth = line.sizes, target / line.sizes.C
    rows = []
    for size, cell in fresh.groupby(SIZE):
        seeds = [set(cell.loc[cell[ARM] == arm, "seed"].astype(int)) for arm in arms]
        halves = sorted(seeds[0] ^ seeds[1])
        seed = halves[0] if halves else max(seeds[0] | seeds[1], default=-1) + 1
        missing = [arm for arm, own in zip(arms, seeds, strict=True) if seed not in own]
        expected = replace(
            sizes.with_more(int(size), 1), squares=_more(sizes, int(size), sizes.pooled)
        )
        rows.append(
            {
                **_place(cell),
                "C": sizes.C[int(size)],
                "seed": [seed],
                "arms": missing,
                "new_size": False,
                "cost": len(missing) * sizes.C[int(size)],
                "half_width": _half_width(expected, line, target),
            }
        )
    if growth[-1] > 1:
        rows.append(_larger(line, fresh, arms, target))
    table = pd.DataFrame(rows)
    if np.isfinite(now):
        table["narrowing"] = (now - table["half_width"]) / table["cost"]
        return table.sort_values("narrowing", ascending=False, ignore_index=True)
    table["narrowing"] = np.nan  # first whatever gives an interval, the cheapest
    order = table.assign(
        none=~np.isfinite(table["half_width"]), few=[*sizes.counts, np.inf][: len(table)]
    )
    by = order.sort_values(["none", "few", "cost"], ignore_index=True)
    return by.drop(columns=["none", "few"])


def _more(sizes: SizeMeans, size: int, variance: float) -> np.ndarray:
    squares = sizes.squares.copy()
    squares[size] += 0.0 if np.isnan(variance) else variance
    return squares


def _half_width(sizes: SizeMeans, line: MultiplierLine, target: float) -> float:
    found = MultiplierLine.of(sizes, target, line.known).at(1.0).half_width
    return float(found) if np.isfinite(found) else np.inf


def _place(cell: pd.DataFrame) -> dict[str, float]:
    return {"N": float(cell["N"].iloc[0]), "D": float(cell["D"].iloc[0])}


def _larger(
    line: MultiplierLine, fresh: pd.DataFrame, arms: tuple[str, str], target: float
) -> dict[str, object]:
    """Two seeds of both arms at a size beyond the largest, no further than the target."""
    sizes = line.sizes
    times = min(_LARGER, target / sizes.C[-1])
    top = fresh[fresh[SIZE] == len(sizes.C) - 1]
    first = fresh[fresh[SIZE] == 0]
    # Tokens and sizes go on growing as they did on the ladder.
    log_c = np.log(sizes.C[-1] / sizes.C[0])
    share = float(np.log(top["N"].iloc[0] / first["N"].iloc[0]) / log_c)
    N, D = (
        float(top[name].iloc[0]) * times**power for name, power in (("N", share), ("D", 1 - share))
    )
    cost = sizes.cost[-1] * times
    y = line.at(sizes.C[-1] * times / target).value
    slope = max(float(line.law.slope(np.array([cost]))[0]), 1e-6)
    expected = replace(
        sizes,
        C=np.append(sizes.C, sizes.C[-1] * times),
        cost=np.append(sizes.cost, cost),
        dearer=np.append(sizes.dearer, sizes.dearer[-1]),
        baseline=np.append(sizes.baseline, line.law.loss(cost)),
        ratio=np.append(sizes.ratio, -(y + sizes.dearer[-1]) * slope),
        counts=np.append(sizes.counts, _NEW_PAIRS),
        squares=np.append(sizes.squares, np.nan_to_num(sizes.pooled)),
    )
    seeds = sorted(int(seed) for seed in top["seed"].unique())
    free = (seeds + [seeds[-1] + 1, seeds[-1] + 2])[:_NEW_PAIRS]
    return {
        "N": N,
        "D": D,
        "C": sizes.C[-1] * times,
        "seed": free,
        "arms": list(arms),
        "new_size": True,
        "cost": 2 * _NEW_PAIRS * sizes.C[-1] * times,
        "half_width": _half_width(expected, line, target),
    }
