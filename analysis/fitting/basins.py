"""Two minima that fit the points nearly equally well but predict differently."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.fitting.best_fit import BestFit
from scalinglab.analysis.laws.arms import ARM

Array = np.ndarray

_AS_LIKELY = 3.841  # likelihood ratio, of one degree of freedom at 95 %
_APART = 0.02  # relative difference of two predictions that is worth a warning
_FARTHER = 10.0  # times the product of all columns, at which both predict
_ROWS = 2000


def basin_warnings(fitted: BestFit) -> list[str]:
    """A warning if the data do not rule out a second minimum that predicts differently.

    The predictions are compared at the points and at ten times the product of their columns.
    """
    space, scale = fitted.misfit.space, fitted.misfit.scale
    places, values = fitted.search.everything
    best = fitted.best.coordinates
    ratio = 2 * fitted.information * (values - float(fitted.best.value[0]))
    likely = np.flatnonzero(ratio < _AS_LIKELY)
    columns = {name: c for name, c in fitted.misfit.columns.items() if c.ndim == 1}
    if not len(likely) or len(columns) < len(fitted.misfit.columns):
        return []  # laws of curves often have a valley of minima: held-out schedules test them
    questions = _ahead(columns)
    params = space.expand(np.concatenate([best, places[likely]]))
    with np.errstate(all="ignore"):
        predictions = scale.of(scale.possible(space.law.predict(params, questions)))
    apart = np.abs(scale.error(predictions[1:] - predictions[0]))
    apart = np.where(np.isnan(apart), 0.0, apart).max(axis=1)
    if not (apart > _APART).any():
        return []
    k = int(np.flatnonzero(apart > _APART)[np.argmin(values[likely][apart > _APART])])
    unit = fitted.misfit.objective.unit
    differ = ", ".join(_different(space.law.names, params[0], params[k + 1]))
    return [
        f"two minima fit nearly as well (objective {fitted.best.value[0] * unit:.5g} and"
        f" {values[likely[k]] * unit:.5g}): {differ}; at the points or ten times beyond them they"
        f" predict up to {scale.say(apart[k], digits=1)} apart: add runs there, or say which it is"
        " (fixed=, bounds=)"
    ]


def _ahead(columns: dict[str, Array]) -> dict[str, Array]:
    """Some of the points, and the same ten times larger by the product of their columns."""
    step = -(-len(next(iter(columns.values()))) // _ROWS)
    varied = [name for name in columns if name != ARM]
    times = _FARTHER ** (1 / max(len(varied), 1))
    return {
        name: np.concatenate([c[::step], c[::step] * (times if name in varied else 1.0)])
        for name, c in columns.items()
    }


def _different(names: tuple[str, ...], params_a: Array, params_b: Array) -> list[str]:
    """The three parameters that differ most between two places, relative to their size."""
    size = np.maximum(np.abs(params_a), np.abs(params_b)) + 1e-300
    order = np.argsort(-np.abs(params_a - params_b) / size)[:3]
    return [f"{names[j]} {params_a[j]:.3g} or {params_b[j]:.3g}" for j in order]
