"""Held-out errors by Huber threshold: published, scaled to the residuals, or none.

Run: OMP_NUM_THREADS=1 python benchmarks/thresholds.py surfaces | curves [noise ...]

Needs the published runs: set SCALING_PUBLIC_DATA to their folder. Only the development sets are
used, as they decide the default (`scalinglab.analysis.fitting.threshold`): of surfaces the largest
one, two and three budgets are left out; of curves the folds of held_out_curves.py, with noise added
to the losses that are fitted. Errors are root mean squares in logarithms; last losses of curves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import groupby, product
from typing import Any

import numpy as np
import pandas as pd
from held_out_curves import DEVELOPMENT, curves, folds
from surface_sets import DEVELOPMENT as FOR_DEVELOPMENT
from surface_sets import surfaces

from scalinglab import analysis
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.fitting.threshold import residual_spread

COSTS: dict[str, dict[str, Any]] = {
    "published": {"delta": "published"},
    "scaled": {"delta": "scaled"},
    "1e-2": {"delta": 1e-2},
    "least squares": {"objective": "least_squares"},
}
SEEDS = 2  # of the noise


def main() -> None:
    """Print one line a set, or a law, set and fold."""
    what, *noise = sys.argv[1:] or ["surfaces"]
    if what == "surfaces":
        of_surfaces()
        return
    for added in map(float, noise or ["0", "0.01"]):
        of_curves("lr_annealing", added)


def of_surfaces() -> None:
    """Development sets with their largest budgets held out."""
    for surface in surfaces():
        if surface.role != FOR_DEVELOPMENT:
            continue
        errors, spreads = {name: [] for name in COSTS}, []
        for top in (1, 2, 3):
            seen = surface.runs["budget"] <= surface.runs["budget"].max() - top
            table, rest = surface.runs[seen], surface.runs[~seen]
            if len(table) < 10 or table["budget"].nunique() < 3:
                continue
            for name, result in _fits("chinchilla", table).items():
                errors[name].extend(np.log(result.predict(rest)["loss"] / rest["loss"]))
                if name == "published":
                    spreads.append(residual_spread(result.residuals))
        if spreads:
            _show(surface.name, spreads, errors)


def of_curves(law: str, noise: float) -> None:
    """Development sets with noise on the fitted losses."""
    for name in DEVELOPMENT:
        for what, same in groupby(folds(name), lambda fold: fold.name):
            errors, spreads = {cost: [] for cost in COSTS}, []
            for fold, seed in product(same, range(SEEDS if noise else 1)):
                table = _noisy(curves(name), noise, seed)
                fits = _fits(law, table[table["run"].isin(fold.fitted)], starts=8)
                spreads.append(residual_spread(fits["published"].residuals))
                for cost, result in fits.items():
                    errors[cost] += [_last_error(result, name, run) for run in fold.asked]
            _show(f"{law}, {name}, {what}, noise {noise:g}", spreads, errors)


def _noisy(table: pd.DataFrame, noise: float, seed: int) -> pd.DataFrame:
    draw: Callable = np.random.default_rng(seed).standard_normal
    return table.assign(loss=table["loss"] * np.exp(noise * draw(len(table))))


def _fits(law: str, table: pd.DataFrame, **options: int) -> dict[str, Result]:
    return {c: analysis.fit(law, table, resamples=0, **how, **options) for c, how in COSTS.items()}


def _last_error(result: Result, name: str, run: str) -> float:
    table = curves(name)
    own = table[table["run"] == run]
    at = own["loss"].last_valid_index()
    return float(np.log(result.predict(own)["loss"][at] / own["loss"][at]))


def _show(what: str, spreads: list[float], errors: dict[str, list[float]]) -> None:
    told = "  ".join(f"{c} {np.sqrt(np.mean(np.square(e))):.3%}" for c, e in errors.items())
    print(f"{what:60s} residuals {np.mean(spreads):.2%}  {told}", flush=True)


if __name__ == "__main__":
    main()
