"""The gain from depth under each placement of the norms.

The late blocks of pre-norm contribute little (arXiv 2502.05795), and post-norm needs small learning
rates (arXiv 2002.04745). So each depth counts at its best learning rate, and differences count only
beyond the noise between seeds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.parabola import repeats
from scalinglab.analysis.plot.labels import LOSS
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.typed import groups_of, rows_of

_SIGNIFICANT = 2.0  # standard errors


@VERDICTS.register("norm_depth")
def judge(runs: pd.DataFrame, *, arm: str = "model.placement") -> Finding:
    """Judge runs of several depths under several arms.

    Parameters
    ----------
    runs : DataFrame
        ``depth, lr, seed, loss`` (infinite where it diverged) and `arm`.
    arm : str
        Column that distinguishes the arms.
    """
    noise = _noise(runs, [arm, "depth"])
    table = pd.DataFrame(
        [
            {"arm": name, "depth": depth, **_best(cell, noise)}
            for (name, depth), cell in groups_of(runs, [arm, "depth"])
        ]
    )
    chosen = runs.merge(table.rename(columns={"arm": arm})[[arm, "depth", "lr"]])
    labels = ("depth (blocks)", f"{LOSS} at the best learning rate")
    figure = drawn(plot.measured_against, chosen, "depth", by=arm, labels=labels)
    caption = "Loss against depth, every run at the best learning rate. Lines: means over seeds."
    warnings = [
        f"{r.arm} at depth {r.depth}: the best LR is the {r.edge} tried"
        for r in rows_of(table)
        if r.edge
    ]
    if noise is None:
        warnings.append("no seed is repeated: differences have no error")
    return Finding(
        [_deepest(table), *_gains(table)],
        {"Depths": table},
        [(caption, figure)],
        warnings,
        sources=["Sun et al. 2025, arXiv:2502.05795; Xiong et al. 2020, arXiv:2002.04745"],
    )


def _noise(runs: pd.DataFrame, cell: list[str]) -> float | None:
    """Relative noise of differences between cells at their best LRs; far above those it is larger.

    Runs of one seed see the same data in the same order. If every cell has the same seeds, the part
    of the noise that is common to all cells cancels in differences and is left out.
    """
    best = pd.concat(
        [
            cell_runs[cell_runs["lr"] == cell_runs.groupby("lr")["loss"].mean().idxmin()]
            for _, cell_runs in runs.groupby(cell)
        ]
    )
    if "seed" not in best:
        return None
    logs = best.assign(log=np.log(best["loss"])).pivot_table("log", cell, "seed", dropna=False)
    if min(logs.shape) < 2 or not np.isfinite(logs.to_numpy()).all():
        return repeats(best, cell)
    y = logs.to_numpy()
    left = y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()
    return float(np.sqrt((left**2).sum() / ((y.shape[0] - 1) * (y.shape[1] - 1))))


def _best(runs: pd.DataFrame, noise: float | None) -> dict:
    means = runs.groupby("lr")["loss"].mean()
    best: Any = means.idxmin()
    seeds = int((runs["lr"] == best).sum())
    edge = (
        ""
        if len(means) < 3
        else "lowest"
        if best == means.index[0]
        else "highest"
        if best == means.index[-1]
        else ""
    )
    error = np.nan if noise is None else means[best] * noise / np.sqrt(seeds)
    return {
        "loss": means[best],
        "error": error,
        "lr": best,
        "edge": edge,
        "diverged": int((~np.isfinite(runs["loss"])).sum()),
    }


def _deepest(table: pd.DataFrame) -> str:
    """The best arm at the largest depth, and whether the next one is distinguishable from it."""
    depth = table["depth"].max()
    ranked = table[table["depth"] == depth].sort_values("loss")
    first = ranked.iloc[0]
    if len(ranked) == 1:
        return f"At depth {depth}: {first['arm']}, loss {first['loss']:.4f}."
    second = ranked.iloc[1]
    gap = second["loss"] - first["loss"]
    sure = gap > _SIGNIFICANT * np.hypot(first["error"], second["error"])
    return (
        f"At depth {depth} {first['arm']} is best, loss {first['loss']:.4f}; "
        f"{second['arm']} is {gap:.4f} above, "
        + ("beyond" if sure else "not told apart by")
        + " the noise between seeds."
    )


def _gains(table: pd.DataFrame) -> list[str]:
    """What each arm gains from the last doubling, or whatever the step, of its depth."""
    sentences = []
    for name, arm_rows in table.groupby("arm"):
        arm_rows = arm_rows.sort_values("depth")
        if len(arm_rows) < 2:
            continue
        steps = []
        for before, after in pairwise(rows_of(arm_rows)):
            gain = before.loss - after.loss
            sure = abs(gain) > _SIGNIFICANT * np.hypot(before.error, after.error)
            steps.append(
                f"{gain:+.4f} from {before.depth} to {after.depth}"
                + ("" if sure else " (within noise)")
            )
        sentences.append(f"{name}: the loss falls by {'; '.join(steps)}.")
    return sentences
