"""Speed and accuracy of the fitter. Run: OMP_NUM_THREADS=1 python benchmarks/fitter.py

Needs the published runs: set SCALING_PUBLIC_DATA to their folder.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit, refit
from scalinglab.analysis.fitting.search import search
from scalinglab.analysis.intervals.resample import draw
from scalinglab.analysis.intervals.rolling import NO_ORIGINS

PUBLISHED = 1.018746e-3  # the point that arXiv:2404.10102 prints
PEER_STARTS, PEER_RESAMPLES = 40, 20  # one by one is slow: time some and extrapolate
AUDITED = 200


def main() -> None:
    """Print every figure."""
    points = chinchilla_points()
    default_fit(points)
    fitted = best_fit("chinchilla", points, FitOptions())
    many_starts(fitted)
    many_resamples(fitted)
    momentum_law()
    coverage(points)


def default_fit(points: pd.DataFrame) -> None:
    seconds, result = timed(lambda: analysis.fit("chinchilla", points))
    show("chinchilla objective", f"{result.objective:.7e} (published {PUBLISHED:.6e})")
    show("default fit, 1,000 resamples", f"{seconds:.2f} s")


def many_starts(fitted: BestFit) -> None:
    """Epoch's grid: alpha, beta 0..2 by .5, e -1..1 by .5, a, b 0..25 by 5."""
    exponent, e, a = np.arange(0, 2.1, 0.5), np.arange(-1, 1.1, 0.5), np.arange(0, 25.1, 5)
    grid = itertools.product(np.exp(e), np.exp(a), exponent, np.exp(a), exponent)
    starts = np.array(list(grid))
    seconds, found = timed(lambda: search(fitted.misfit, starts))
    value = found.solution.value[found.place]
    share = np.mean(value <= fitted.best.value[0] * (1 + 1e-6))
    show(f"{len(starts)} starts", f"{seconds:.2f} s, {share:.1%} in the best basin")
    chosen = starts[np.random.default_rng(0).permutation(len(starts))[:PEER_STARTS]]
    peer, values = timed(lambda: [one_by_one(fitted, start) for start in chosen])
    whole = peer * len(starts) / len(chosen)
    share = np.mean(np.array(values) <= fitted.best.value[0] * (1 + 1e-6))
    show(
        "  scipy L-BFGS-B, one start each",
        f"{whole:.0f} s for as many ({whole / seconds:.0f}x), {share:.1%} in the best basin",
    )


def many_resamples(fitted: BestFit, count: int = 4000) -> None:
    draws = draw(fitted.sample, "rows", count, seed=0)
    seconds, coordinates = timed(lambda: refit(fitted, draws)[0])
    show(f"{count} resamples", f"{seconds:.2f} s")
    audited = np.random.default_rng(1).permutation(count)[:AUDITED]
    law, points = fitted.misfit.space.law, fitted.points
    starts = law.starts(points.columns, points.response, 64)
    good = 0
    for d in audited:
        weight = draws.counts[d].astype(float)
        misfit = replace(fitted.misfit, weight=weight)
        reached = misfit(coordinates[[d]], np.zeros(1, int), np.ones(1))[0][0]
        good += reached <= search(misfit, starts).solution.value.min() * (1 + 1e-6)
    show(f"  {AUDITED} audited", f"{good / AUDITED:.1%} within 1e-6 of a full multi-start")
    best = fitted.misfit.space.expand(fitted.best.coordinates)[0]
    peer, _ = timed(
        lambda: [
            one_by_one(fitted, best, draws.counts[d].astype(float)) for d in range(PEER_RESAMPLES)
        ]
    )
    whole = peer * count / PEER_RESAMPLES
    show("  scipy L-BFGS-B, one at a time", f"{whole:.0f} s for as many ({whole / seconds:.0f}x)")


def one_by_one(fitted: BestFit, start: np.ndarray, weight: np.ndarray | None = None) -> float:
    """One scipy call per start with finite differences, as in published notebooks."""
    from scipy.optimize import minimize

    log_N, log_D = (np.log(fitted.points.columns[c]) for c in "ND")
    objective = fitted.misfit.objective

    def cost(u: np.ndarray) -> float:
        e, a, alpha, b, beta = u
        terms = np.stack([np.full_like(log_N, e), a - alpha * log_N, b - beta * log_D])
        residual = np.logaddexp.reduce(terms, axis=0) - fitted.misfit.target
        value = objective.cost(residual)[0]
        return float((value if weight is None else value * weight).sum())

    at = start.copy()
    at[[0, 1, 3]] = np.log(at[[0, 1, 3]])
    with np.errstate(all="ignore"):
        return float(minimize(cost, at, method="L-BFGS-B").fun)


def momentum_law() -> None:
    """Fit two of the 25M curves of arXiv:2503.12811, predict the other seven."""
    curves = published_curves()
    train = curves.run.isin(["cosine_24000", "constant_24000"])
    seconds, result = timed(lambda: analysis.fit("lr_annealing", curves[train]))
    predicted = result.predict(curves)
    table = pd.DataFrame(
        analysis.scores(curve.loss, predicted.loss[curve.index])
        for _, curve in curves[~train].groupby("run")
    )
    show("lr_annealing, 1,000 resamples", f"{seconds:.2f} s")
    show(
        f"  {len(table)} schedules not seen",
        f"mean R² {table.r2.mean():.4f}, worst {table.r2.min():.4f}, MAE {table.mae.mean():.4f}",
    )


def coverage(points: pd.DataFrame) -> None:
    """Coverage of points beyond the range by 95 % intervals: resamples alone, and with refits."""
    for name, table in {"chinchilla": points, **other_points()}.items():
        for by in ("N", "D", "C"):
            found = pd.DataFrame(contained(table, by, share) for share in (0.5, 0.7, 0.8, 0.9))
            count, bare, whole = found.sum()
            show(
                f"{name}, beyond {by}",
                f"{whole / count:.0%} of {count:.0f} points inside 95 % intervals;"
                f" resamples alone {bare / count:.0%}",
            )


def contained(table: pd.DataFrame, by: str, share: float) -> tuple[int, int, int]:
    """Points beyond the lower share of the range; numbers contained without and with refits."""
    held = table[by] > table[by].quantile(share)
    result = analysis.fit("chinchilla", table[~held], resamples=500)
    counts = []
    for one in (replace(result, origins=NO_ORIGINS), result):
        predicted = one.predict(table[held], level=0.95)
        inside = table.loss[held].between(predicted.lower, predicted.upper)
        counts.append(int(inside[~predicted.inside].sum()))
    return int((~predicted.inside).sum()), *counts


def other_points() -> dict[str, pd.DataFrame]:
    """The same figure as digitised by others, and two IsoFLOP sweeps."""
    names = {"params": "N", "tokens": "D", "budget": "C"}
    sweeps = pd.read_csv(data_folder() / "isoflops" / "isoflops.csv").rename(columns=names)
    sweeps = sweeps[~sweeps.outlier].drop(columns="dataset")
    found = {name.split("_")[0]: table for name, table in sweeps.groupby("experiment")}
    return {
        "takano": pd.read_csv(data_folder() / "takano" / "df.csv"),
        **{f"isoflops {name}": table for name, table in found.items()},
    }


def chinchilla_points() -> pd.DataFrame:
    table = pd.read_csv(data_folder() / "chinchilla" / "chinchilla_points.csv")
    return table[~table.outlier_epoch].rename(columns={"params": "N", "tokens": "D", "flops": "C"})


def published_curves() -> pd.DataFrame:
    folder = data_folder() / "multipowerlaw"
    curves = pd.read_csv(folder / "mpl_curves.csv")
    measured = curves.loc[curves.model == "25M", ["schedule", "step", "loss"]]
    schedules = pd.read_parquet(folder / "schedules.parquet")
    whole = schedules.merge(measured, on=["schedule", "step"], how="left")
    return whole.rename(columns={"schedule": "run"})


def data_folder() -> Path:
    default = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("SCALING_PUBLIC_DATA", default))
    if not folder.is_dir():
        raise SystemExit("no published runs: set SCALING_PUBLIC_DATA to their folder")
    return folder


def timed(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Seconds of the fastest of a few runs (once, if slow), and what it returned."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        value = work()
        seconds.append(time.perf_counter() - began)
        if seconds[-1] > 5:
            break
    return min(seconds), value


def show(what: str, figure: str) -> None:
    print(f"{what:<34} {figure}", flush=True)


if __name__ == "__main__":
    main()
