"""Accuracy of final losses forecast from half of a curve.

Run: OMP_NUM_THREADS=1 python benchmarks/forecast.py

Needs the published 124M runs (36 schedules and lengths): set SCALING_PUBLIC_DATA to their folder.
Each run is forecast from its own losses up to half of its steps and from other runs: three of them
(constant, a 20 % cooldown, a cosine), or all others. A branch has its trunk's losses before it.
"Line" is the value at the last token of a power law with a constant, fitted to the half alone.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from curve_laws import TRAIN_124M, cooldown_curves

from scalinglab import analysis

SHARE = 0.5


def main() -> None:
    """Print one table."""
    curves = with_trunk_losses(cooldown_curves())
    laws = sys.argv[1:] or ["lr_annealing", "multi_power"]
    print(
        f"{'forecast from half':34s}{'runs':>5}{'mean |error|':>14}{'bias':>9}{'inside 95 %':>13}"
        f"{'half-width':>12}{'seconds':>9}"
    )
    show("line through the half", [by_line(own) for _, own in curves.groupby("run")], 0.0)
    for law in laws:
        for what, known in (("three runs", set(TRAIN_124M)), ("all others", set(curves.run))):
            started, rows = time.perf_counter(), []
            for run, own in curves.groupby("run"):
                if what == "all others" or run not in known:
                    rows.append(one(law, curves[curves.run.isin(known)], own))
            show(f"{law}, {what}", rows, (time.perf_counter() - started) / len(rows))


def one(law: str, others: pd.DataFrame, own: pd.DataFrame) -> dict[str, float]:
    """Forecast one run from its half."""
    measured, half = cut(own)
    found = analysis.forecast_run(others, half, law=law)
    return {
        "error": found.loss / measured - 1,
        "inside": found.lower <= measured <= found.upper,
        "half": np.log(found.upper / found.lower) / 2,
    }


def by_line(own: pd.DataFrame) -> dict[str, float]:
    """A power law through the first half, without the schedule."""
    measured, half = cut(own)
    known = half[half.loss.notna() & (half.step > 0.1 * half.step.max())]
    line = analysis.fit("power_plus_constant", known, x="step", resamples=0)
    end = line.predict(half.iloc[-1:]).loss.iloc[0]
    return {"error": end / measured - 1, "inside": np.nan, "half": np.nan}


def cut(own: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    """The last loss, and the run up to it with its losses up to half of its steps."""
    last = own.loss.last_valid_index()
    whole = own.loc[:last]
    known = whole.step <= SHARE * whole.step.max()
    return float(own.loss[last]), whole.assign(loss=whole.loss.where(known))


def with_trunk_losses(curves: pd.DataFrame) -> pd.DataFrame:
    """Branches with the losses of their trunk before the branch point."""
    trunk = curves[curves.run == "190"].set_index("step").loss
    tables = []
    for _, own in curves.groupby("run"):
        first = own.step[own.loss.first_valid_index()]
        tables.append(own.assign(loss=own.loss.where(own.step >= first, own.step.map(trunk))))
    return pd.concat(tables, ignore_index=True)


def show(what: str, rows: list[dict[str, float]], seconds: float) -> None:
    """Print one line."""
    table = pd.DataFrame(rows)
    print(
        f"{what:34s}{len(table):5d}{table.error.abs().mean():14.2%}{table.error.mean():9.2%}"
        f"{table.inside.astype(float).mean():13.1%}{table.half.mean():12.2%}{seconds:9.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
