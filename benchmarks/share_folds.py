"""What origins say of each law and window on development sets, made once and kept.

See `share_rules.py`, which asks for it.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from held_out import LAWS, TOPS, enough
from ladder_sets import ladder_surfaces
from small_sets import small_surfaces
from surface_sets import DEVELOPMENT, Surface, surfaces

from scalinglab.analysis.choice.origins import (
    SHARES,
    budget_origins,
    in_window,
    levels,
    of_runs,
)
from scalinglab.analysis.choice.score import HeldOut
from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.held_out_errors import (
    SPARE,
    ahead,
    held_out_errors,
    of_rows,
    wild_rows,
)
from scalinglab.analysis.fitting.law_choice import budget_of
from scalinglab.analysis.intervals.freedom import reason_to_withhold
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_FEWEST = 6  # rows that an origin must leave, as in `law_choice`


@dataclass(frozen=True)
class Fold:
    """What the origins say of each law and window, and what these predict of the rows held out.

    Attributes
    ----------
    set, shape, entry, out
        Which fold of which set.
    laws : tuple of str
        Those that the mixture may have.
    error : array, shape (windows, laws, m)
        Predicted - measured ahead of the origins; infinite where nothing possible is predicted.
    held : HeldOut
        The same points, without windows.
    cluster : array of int, shape (m,)
        Points that miss together.
    far : array of bool, shape (m,)
        Points that all laws which fit well name as outliers (`wild_rows`).
    allowed : array of bool, shape (windows, laws)
        Are enough rows left for the window?
    ahead : array, shape (windows, laws, h)
        Predicted - measured of the rows held out, of laws fitted to all rows that are seen.
    every : dict of str to array
        The same of each law that can be fitted at all, without a window.
    noise : float
        Of seeds.
    """

    set: str
    shape: str
    entry: str
    out: int
    laws: tuple[str, ...]
    error: Array
    held: HeldOut
    cluster: Array
    far: Array
    allowed: Array
    ahead: Array
    every: dict[str, Array]
    noise: float


# ---- collecting


def development_sets(only: str) -> Iterator[tuple[str, Surface]]:
    """All development sets with their shapes, the small ones first; every other sweep of Porian."""
    for surface in ladder_surfaces(only):
        if not _is_left_out(surface):
            yield "ladder", surface
    for surface in small_surfaces(only):
        if not _is_left_out(surface):
            yield ("made" if surface.entry == "made" else "thin"), surface
    for surface in surfaces(only):
        if surface.role == DEVELOPMENT and not _is_left_out(surface):
            yield "whole", surface


def _is_left_out(surface: Surface) -> bool:
    """Ten sweeps share most runs and take most of the time."""
    name = surface.name.removesuffix(" ladder").removesuffix(" thin")
    return name in _sweeps()[1::2]


@cache
def _sweeps() -> list[str]:
    return [surface.name for surface in surfaces("porian")]


def folds_of(surface: Surface, shape: str) -> Iterator[Fold]:
    """The folds of a set that leave enough rows."""
    runs = surface.runs
    for out in TOPS:
        seen = runs.budget <= runs.budget.max() - out
        if enough(runs[seen]):
            yield _fold(surface, shape, out, runs[seen].drop(columns="budget"), runs[~seen])


def _fold(surface: Surface, shape: str, out: int, few: pd.DataFrame, asked: pd.DataFrame) -> Fold:
    by_law: dict[str, BestFit] = {}
    for law in LAWS:
        try:
            by_law[law] = best_fit(law, few, FitOptions())
        except UserError:
            continue
    every = {law: _errors_ahead(fit, asked) for law, fit in by_law.items()}
    with_intervals = {n: f for n, f in by_law.items() if not reason_to_withhold(f.freedom)}
    members = with_intervals or by_law
    fits = list(members.values())
    points = fits[0].points
    budget, run = budget_of(points.columns), points.cluster
    origins = budget_origins(budget, _FEWEST, run)
    cluster = levels(budget if run is None else of_runs(budget, run))
    rows = [in_window(budget, np.ones(len(points), bool), share) for share in SHARES]
    frees = np.array([len(fit.misfit.space.free) for fit in fits])
    allowed = np.array([(k.sum() >= frees + SPARE) | k.all() for k in rows])
    predicted = np.array(
        [
            [
                _errors_ahead(fit if k.all() else of_rows(fit, k), asked)
                if ok
                else np.full(len(asked), np.inf)
                for fit, ok in zip(fits, is_allowed, strict=True)
            ]
            for k, is_allowed in zip(rows, allowed, strict=True)
        ]
    )
    if origins:
        error = np.array([held_out_errors(fit, origins, SHARES, budget) for fit in fits])
        error = error.swapaxes(0, 1)
        held = ahead(error[0], origins, points.noise)
        row_cluster, is_far = cluster[held.row], wild_rows(fits)[held.row]
    else:
        error = np.empty((len(SHARES), len(fits), 0))
        held = HeldOut(error[0], *np.empty((2, 0), int), *np.empty((2, 0)))
        row_cluster, is_far = np.empty(0, int), np.empty(0, bool)
    return Fold(
        surface.name, shape, surface.entry, out, tuple(members), error, held, row_cluster, is_far,
        allowed, predicted, every, surface.noise,
    )  # fmt: skip


def _errors_ahead(fit: BestFit, asked: pd.DataFrame) -> Array:
    misfit = fit.misfit
    columns = misfit.space.law.read(asked)
    with np.errstate(all="ignore"):
        params = misfit.space.expand(fit.best.coordinates)
        predicted = misfit.scale.of(
            misfit.scale.possible(misfit.space.law.predict(params, columns)[0])
        )
    error = predicted - misfit.scale.of(asked.loss.to_numpy(float))
    return np.where(np.isfinite(error), error, np.inf)


def collect(to: Path, only: str) -> None:
    """Write the folds of all development sets; those that the file has are not made again."""
    folds: list[Fold] = pickle.loads(to.read_bytes()) if to.exists() else []
    made = {fold.set for fold in folds}
    for shape, surface in development_sets(only):
        if surface.name in made:
            continue
        began = time.process_time()
        folds += folds_of(surface, shape)
        to.write_bytes(pickle.dumps(folds))
        print(f"{surface.name}: {time.process_time() - began:.0f} s", flush=True)
