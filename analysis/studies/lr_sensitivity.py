"""How sensitive the loss is to the learning rate, and which settings reduce that.

LR sensitivity is the mean over a range of learning rates of min(final loss, initial loss) - best
loss (Wortsman et al., arXiv 2309.14322); z-loss and query-key norms lower it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import rows_of

_DRAWS = 1000
_CAPPED = (
    "Lines: means over seeds; a run that ended above the initial loss counts as that. The flatter,"
    " the less sensitive."
)
_BY_SIZE = (
    "final loss of every run against the learning rate, by size. Lines: the parabola at each size,"
    " with the interval of a run; diamonds: the optima with their intervals."
)


def sensitivity(lr: pd.Series, loss: pd.Series, initial: float) -> float:
    """Mean excess of min(loss, initial) over the best, evenly over log LR.

    Parameters
    ----------
    lr, loss : Series
        A sweep; repeats of one LR count together. A diverged run counts as the initial loss.
    initial : float
        Loss before training: log(vocab) for a model that knows nothing.
    """
    means = loss.clip(upper=initial).groupby(lr.to_numpy()).mean().sort_index()
    excess = means - means.min()
    u = np.log(means.index.to_numpy())
    return float(np.trapezoid(excess, u) / (u[-1] - u[0]))


@VERDICTS.register("lr_sensitivity")
def judge(runs: pd.DataFrame, *, arm: str = "block", seed: int = 0) -> Finding:
    """Judge LR sweeps at several sizes, one for each arm.

    Parameters
    ----------
    runs : DataFrame
        ``lr, loss`` (infinite where it diverged), ``N, vocab, seed`` and `arm`.
    arm : str
        Column that distinguishes the arms.
    seed : int
        Of the resamples of seeds behind the intervals.
    """
    rows, figures = [], []
    rng = np.random.default_rng(seed)
    for name, arm_runs in runs.groupby(arm):
        for n, sweep in arm_runs.groupby("N"):
            low, high = _interval(sweep, rng)
            rows.append(
                {
                    "arm": name,
                    "N": n,
                    "sensitivity": _of(sweep),
                    "lower": low,
                    "upper": high,
                    "diverged": int((~np.isfinite(sweep["loss"])).sum()),
                }
            )
        figures.append((f"{name}: {_BY_SIZE}", drawn(plot.lr_basins, arm_runs)))
    table = pd.DataFrame(rows)
    largest = runs[runs["N"] == runs["N"].max()]
    capped = largest.assign(loss=largest["loss"].clip(upper=np.log(largest["vocab"])))
    beside = drawn(plot.measured_against, capped, "lr", by=arm)
    text = f"Final loss against the learning rate at N = {short(largest['N'].iloc[0])}. {_CAPPED}"
    figures.insert(0, (text, beside))
    return Finding(
        _sentences(table),
        {"Sensitivity": table},
        figures,
        _ranges(runs, arm),
        sources=["Wortsman et al. 2023, arXiv:2309.14322"],
    )


def _of(sweep: pd.DataFrame) -> float:
    return sensitivity(sweep["lr"], sweep["loss"], float(np.log(sweep["vocab"].iloc[0])))


def _interval(sweep: pd.DataFrame, rng: np.random.Generator) -> tuple[float, float]:
    """The interval by resampling seeds; NaN without repeats."""
    seeds = sweep["seed"].unique()
    if len(seeds) < 2:
        return np.nan, np.nan
    parts = dict(iter(sweep.groupby("seed")))
    drawn = [
        _of(pd.concat([parts[s] for s in rng.choice(seeds, len(seeds))]))
        for _ in range(_DRAWS // 5)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _sentences(table: pd.DataFrame) -> list[str]:
    sentences = []
    for name, arm_rows in table.groupby("arm"):
        arm_rows = arm_rows.sort_values("N")
        values = "; ".join(
            f"{r.sensitivity:.3f}"
            + ("" if np.isnan(r.lower) else f" ({r.lower:.3f} to {r.upper:.3f})")
            + f" at N {r.N:,}"
            for r in rows_of(arm_rows)
        )
        sentences.append(f"{name}: LR sensitivity {values} (nats/token).")
    means = table.groupby("arm")["sensitivity"].mean().sort_values()
    if len(means) > 1:
        near = [repr(name) for name in means.index[1:-1] if _overlap(table, means.index[0], name)]
        sentences.insert(
            0,
            f"The loss depends least on the LR with {means.index[0]!r} (mean "
            f"{means.iloc[0]:.3f}) and most with {means.index[-1]!r} "
            f"({means.iloc[-1]:.3f})."
            + (f" Not told from the least: {', '.join(near)}." if near else ""),
        )
    return sentences


def _overlap(table: pd.DataFrame, first: str, second: str) -> bool:
    """Whether the intervals of two arms meet at any of the sizes that both have."""
    both = [table[table["arm"] == name].set_index("N") for name in (first, second)]
    bands_a, bands_b = (pair.loc[both[0].index.intersection(both[1].index)] for pair in both)
    return bool(
        ((bands_a["lower"] <= bands_b["upper"]) & (bands_b["lower"] <= bands_a["upper"])).any()
    )


def _ranges(runs: pd.DataFrame, arm: str) -> list[str]:
    """The number means something over one range of learning rates only."""
    ranges = {(cell["lr"].min(), cell["lr"].max()) for _, cell in runs.groupby([arm, "N"])}
    if len(ranges) == 1:
        return []
    return ["the sweeps cover different ranges of the LR: their sensitivities do not compare"]
