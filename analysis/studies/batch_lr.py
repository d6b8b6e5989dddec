"""How the largest stable learning rate and the best one grow with the batch.

Theory: in proportion to the batch for SGD, with its square root for adaptive methods (arXiv
2006.09092 and 2205.10287). A learning rate counts as stable if no seed diverged and none ended far
above the best of its batch; the boundary lies somewhere between the last stable value of the grid
and the first unstable one.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.parabola import optimum, repeats
from scalinglab.analysis.plot.labels import RATE
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.exponent import exponent, said
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

_EVEN = 12**-0.5  # standard deviation of an even spread over one step of the grid
_SIDES = 2 * 1.96
_BATCH = "batch size (sequences)"
_BASINS = (
    "loss of every run against the learning rate, by batch. Lines: the parabola at each batch, with"
    " the interval of a run; diamonds: the optima with their intervals."
)


@VERDICTS.register("batch_lr")
def judge(runs: pd.DataFrame, *, tolerance: float = 0.1, arm: str = "optimizer.name") -> Finding:
    """Judge a grid of LR and batch.

    Parameters
    ----------
    runs : DataFrame
        ``batch, lr, seed, loss`` (infinite where it diverged) and `arm`.
    tolerance : float
        A final loss above the best of its batch by more than this share is unstable.
    arm : str
        Column that distinguishes the arms.
    """
    rows, sentences, warnings = [], [], []
    basins: list[Captioned] = []
    arms = runs.groupby(arm) if arm in runs else [("all", runs)]
    for name, arm_runs in arms:
        noise = repeats(arm_runs, ["batch", "lr"])
        table = pd.DataFrame(
            [_row(batch, sweep, tolerance, noise) for batch, sweep in groups_of(arm_runs, "batch")]
        )
        rows.append(table.assign(arm=name))
        open_ended = table.loc[table["step"].isna(), "batch"]
        if len(open_ended):
            warnings.append(
                f"{name}: no LR of the grid is unstable at batch "
                f"{', '.join(map(str, open_ended))}: the boundary is not seen there"
            )
        sentences.append(_sentence(str(name), table))
        basins.append((f"{name}: {_BASINS}", drawn(plot.lr_basins, arm_runs, by="batch")))
    every = pd.concat(rows, ignore_index=True)
    columns = ["arm", "batch", "largest stable lr", "first unstable lr", "best lr", "loss"]
    return Finding(
        sentences,
        {"Batches": every[columns]},
        [*_figures(every), *basins],
        warnings,
        sources=["Granziol et al. 2020, arXiv:2006.09092; Malladi et al. 2022, arXiv:2205.10287"],
    )


def _row(batch: int, sweep: pd.DataFrame, tolerance: float, noise: float | None) -> dict:
    worst = sweep.groupby("lr")["loss"].max().sort_index()
    good = (worst <= sweep["loss"].min() * (1 + tolerance)).to_numpy()
    rates = worst.index.to_numpy()
    # Rates below the best one are slow, not unstable: look up from there.
    begin = int(worst.to_numpy().argmin())
    beyond = np.flatnonzero(~good[begin:])
    row = {
        "batch": batch,
        "best lr": np.nan,
        "error": np.nan,
        "loss": sweep["loss"].min(),
        "largest stable lr": np.nan,
        "first unstable lr": np.nan,
        "boundary": np.nan,
        "step": np.nan,
    }
    if len(beyond) and beyond[0] > 0:
        last, first = rates[begin + beyond[0] - 1], rates[begin + beyond[0]]
        row |= {
            "largest stable lr": last,
            "first unstable lr": first,
            "boundary": np.sqrt(last * first),
            "step": np.log(first / last),
        }
    try:
        best = optimum(sweep["lr"], sweep["loss"], scatter=noise)
    except UserError:
        return row
    if not best.edge:
        row |= {"best lr": best.x, "error": np.log(best.upper / best.lower) / _SIDES}
    return row


def _figures(table: pd.DataFrame) -> list[Captioned]:
    """The largest stable rate and the best one against the batch, with their intervals."""
    half = 2 * table["error"]
    stable = table.assign(
        lr=table["boundary"],
        lr_lower=table["largest stable lr"],
        lr_upper=table["first unstable lr"],
    )
    best = table.assign(
        lr=table["best lr"],
        lr_lower=table["best lr"] * np.exp(-half),
        lr_upper=table["best lr"] * np.exp(half),
    )
    shown = (
        (
            "The boundary of stability. Bars: from the last stable rate to the first unstable",
            stable,
        ),
        ("The best learning rate. Bars: 95% intervals", best),
    )
    return [
        (
            f"{text}.",
            drawn(plot.measured_against, rates, "batch", "lr", by="arm", labels=(_BATCH, RATE)),
        )
        for text, rates in shown
        if np.isfinite(rates["lr"]).any()
    ]


def _sentence(name: str, table: pd.DataFrame) -> str:
    parts = []
    at_boundary = table[table["boundary"].notna()]
    if at_boundary["batch"].nunique() > 1:
        slope, error = exponent(
            at_boundary["batch"], at_boundary["boundary"], _EVEN * at_boundary["step"]
        )
        near = _nearest(slope, error)
        parts.append(f"the largest stable LR goes as batch^{said(slope, error)} ({near})")
    inner = table[table["best lr"].notna()]
    if inner["batch"].nunique() > 1:
        slope, error = exponent(inner["batch"], inner["best lr"], inner["error"])
        parts.append(f"the best LR as batch^{said(slope, error)}")
    if not parts:
        return f"{name}: too few batches show a boundary or an optimum inside the grid."
    return f"{name}: {', '.join(parts)}."


def _nearest(slope: float, error: float) -> str:
    """Which rules the exponent agrees with, within two standard errors."""
    rules = {"no dependence": 0.0, "the square root": 0.5, "proportion": 1.0}
    agrees = [rule for rule, value in rules.items() if abs(slope - value) <= 2 * error]
    return f"agrees with {' and '.join(agrees)}" if agrees else "agrees with no named rule"
