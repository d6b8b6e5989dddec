"""Whether the best learning rate of the smallest width transfers to larger ones, and its regret.

For each parametrization: the optimum at every width by a parabola, the power of the width that it
follows, and the regret of the base's optimum, in loss and in units of the noise between seeds. Loss
and noise are taken near the optima: far above them seeds scatter more, and the parabola would be
extrapolated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.parabola import Optimum, nearest, optimum, repeats
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.exponent import exponent, said
from scalinglab.analysis.tables.typed import groups_of

TRANSFER = "Yang et al. 2022, arXiv:2203.03466"
_CAPTION = (
    "loss of every run against the learning rate, by width. Lines: the parabola at each width, with"
    " the interval of a run; diamonds: the optima with their intervals. Optima below each other"
    " transfer."
)
_SIDES = 2 * 1.96  # of a 95 % interval, in standard errors


@VERDICTS.register("lr_transfer")
def judge(runs: pd.DataFrame, *, arm: str = "model.parametrization") -> Finding:
    """Judge a sweep of the LR at several widths.

    Parameters
    ----------
    runs : DataFrame
        ``width, lr, seed, loss`` (infinite where it diverged) and `arm`; without that column all
        runs are one arm.
    arm : str
        Column that distinguishes the arms.
    """
    if arm not in runs:
        runs = runs.assign(**{arm: "sp"})
    runs = runs.assign(**{arm: runs[arm].fillna("sp")})
    noise = _noise(runs, arm)
    rows, sentences, warnings = [], [], []
    figures: list[Captioned] = []
    for name, arm_runs in runs.groupby(arm):
        sweeps: dict[int, pd.DataFrame] = dict(groups_of(arm_runs, "width"))
        optima = {
            width: optimum(sweep["lr"], sweep["loss"], scatter=noise[width])
            for width, sweep in sweeps.items()
        }
        table = pd.DataFrame(
            [_row(str(name), width, optima, sweep, noise[width]) for width, sweep in sweeps.items()]
        )
        rows.append(table)
        warnings += _warnings(str(name), optima, sweeps)
        sentences.append(_sentence(table, optima, noise[max(optima)]))
        basins = drawn(plot.lr_basins, arm_runs, by="width", scatter=noise)
        figures.append((f"{name}: {_CAPTION}", basins))
    return Finding(
        sentences,
        {"Optima": pd.concat(rows, ignore_index=True)},
        figures,
        warnings,
        sources=[TRANSFER],
    )


def _noise(runs: pd.DataFrame, arm: str) -> dict[int, float | None]:
    """Between seeds near the optima of each width; of all widths where one repeats no seed."""
    near = pd.concat([nearest(sweep) for _, sweep in runs.groupby([arm, "width"])])
    cell = [arm, "width", "lr"]
    return {
        width: repeats(near[near["width"] == width], cell) or repeats(near, cell)
        for width in runs["width"].unique()
    }


def _mean(sweep: pd.DataFrame) -> tuple[pd.Index, pd.Series]:
    means = sweep.groupby("lr")["loss"].mean()
    return means.index, means


def _warnings(name: str, optima: dict[int, Optimum], sweeps: dict[int, pd.DataFrame]) -> list[str]:
    edges = [f"{width:g}" for width, best in optima.items() if best.edge]
    sentences = (
        []
        if not edges
        else [
            f"{name}: the best LR is at the edge of the grid at width {', '.join(edges)}; its "
            "regret is not known there"
        ]
    )
    base, top = optima[min(optima)].x, sweeps[max(optima)]["lr"]
    if not top.min() <= base <= top.max():
        sentences.append(
            f"{name}: the base's best LR {base:.3g} was not tried at width {max(optima):g}: "
            "its regret there is that of the grid's end"
        )
    return sentences


def _row(
    name: str, width: int, optima: dict[int, Optimum], sweep: pd.DataFrame, noise: float | None
) -> dict:
    best, base = optima[width], optima[min(optima)]
    drift = np.log(base.x / best.x)
    # How far the base's optimum lies from this one, and from where to where it may.
    ends = drift + np.array([0, -1, 1]) * (
        0 if best is base else 1.96 * np.hypot(_error(base), _error(best))
    )
    regret, *reach = (_regret(best, sweep, best.x * np.exp(end)) for end in ends)
    straddles = ends[1] <= 0 <= ends[2]
    return {
        "arm": name,
        "width": width,
        "best lr": best.x,
        "lower": best.lower,
        "upper": best.upper,
        "loss": best.loss,
        "regret": regret,
        "least regret": 0.0 if straddles else min(reach),
        "largest regret": max(reach),
        "regret / noise": regret / noise if noise else np.nan,
    }


def _error(best: Optimum) -> float:
    """Standard error of the log of an optimum."""
    return np.log(best.upper / best.lower) / _SIDES


def _regret(best: Optimum, sweep: pd.DataFrame, lr: float) -> float:
    """Relative excess loss at another LR: by the parabola, and beyond it from loss to loss."""
    if best.span[0] <= lr <= best.span[1]:
        return float(best.excess(lr))
    rates, losses = _mean(sweep)
    return float(np.interp(np.log(lr), np.log(rates), losses) / best.loss - 1)


def _sentence(table: pd.DataFrame, optima: dict[int, Optimum], noise: float | None) -> str:
    name, base, top = table["arm"].iloc[0], min(optima), max(optima)
    inner = {width: best for width, best in optima.items() if not best.edge}
    if len(inner) < 2 or base not in inner or top not in inner:
        return f"{name}: the optimum lies inside the grid at too few widths for a verdict."
    slope, error = exponent(
        list(inner), [b.x for b in inner.values()], [_error(b) for b in inner.values()]
    )
    row = table.set_index("width").loc[top]
    regret = row["regret"]
    against = (
        "" if not noise else (f", {regret / noise:.1f} times the noise between seeds ({noise:.2%})")
    )
    between = (
        ""
        if np.isnan(row["largest regret"])
        else (f" ({row['least regret']:.2%} to {row['largest regret']:.2%})")
    )
    transfers = regret < noise if noise else abs(slope) < 2 * error
    return (
        f"{name}: the best LR {'transfers' if transfers else 'does not transfer'}: it goes as "
        f"width^{said(slope, error)}, and using that of width {base:g} ({optima[base].x:.3g}) at "
        f"width {top:g} (best {optima[top].x:.3g}) costs {regret:.2%} of loss{between}{against}."
    )
