"""By how much a chain of laws misses the accuracies of the largest models, when it is without them.

Each step of a chain has its own doubt. That a task's accuracy begins to rise, or bends, where no
model was seen, neither can know. The chain refitted without the largest budget can: it predicts
accuracies that were measured, one step ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.tables.points import Points, read_points
from scalinglab.scaling.errors import UserError

_KNOWN = {option.name for option in fields(FitOptions)}
_READ = {"columns", "weights", "noise", "cluster", "exclude", "mix_fingerprints"}
_ONE_BUDGET = 0.8  # N D of models of one budget differ by no more, as sizes come in steps
_STARTS = 4  # one, the fit to all models, ended in a worse minimum now and then; four did not


@dataclass(frozen=True)
class Step:
    """A fitted step of a chain, and what it was fitted to.

    Attributes
    ----------
    result : Result
    table : DataFrame
    options : mapping
        Those of `analysis.fit`.
    """

    result: Result
    table: pd.DataFrame
    options: Mapping[str, Any]

    def points(self) -> Points:
        """What the fit read of the table."""
        few = {name: self.options[name] for name in _READ & self.options.keys()}
        return read_points(self.result.law, self.table, scale=self.result.scale, **few)

    def refit(self, rows: Array) -> BestFit:
        """The best fit to some rows of the table, an array of bool."""
        known = {name: option for name, option in self.options.items() if name in _KNOWN}
        known |= {"starts": _STARTS, "delta": self.result.settings["delta"]}
        some = FitOptions(**known).of_rows(rows)
        return best_fit(self.result.law.name, self.table[rows], some)


def missed_ahead(loss: Step, accuracy: Step) -> float | None:
    """Misses of the accuracies of the largest budget's models, beyond the noise of accuracies.

    Where the pairs of loss and accuracy are others than the models themselves, pairs of less loss
    than any model that is kept are left out with the largest ones.

    Parameters
    ----------
    loss, accuracy : Step

    Returns
    -------
    float or None
        Root mean square, in accuracy. None where too few models are left, or the law has no value
        at those left out.
    """
    models, pairs, named = loss.table, accuracy.table, accuracy.result.columns
    points = loss.points()
    budget = points.columns["N"] * points.columns["D"]
    is_largest = budget >= _ONE_BUDGET * budget.max()
    ahead, kept = (
        np.isin(np.arange(len(models)), points.rows[some]) for some in (is_largest, ~is_largest)
    )
    seen = ~ahead
    if pairs is not models:
        least = models.loc[kept, named["task_loss"]].min()
        seen = (pairs[named["task_loss"]] >= least).to_numpy()
    try:
        first, second = loss.refit(kept), accuracy.refit(seen)
    except UserError:  # what is left says too little
        return None
    largest = {name: column[is_largest] for name, column in points.columns.items()}
    predicted = _predicted(second, {"task_loss": _predicted(first, largest)})
    missed = predicted - models.loc[ahead, named["accuracy"]].to_numpy(float)
    missed = missed[~np.isnan(missed)]
    if not len(missed):
        return None
    return float(np.sqrt(max(np.mean(missed**2) - _noise(accuracy), 0)))


def _noise(accuracy: Step) -> float:
    """Mean square of what the whole fit leaves of the accuracies, on no scale of an objective."""
    seen, law = accuracy.points(), accuracy.result.law
    fitted = law.predict(np.array(list(accuracy.result.params.values())), seen.columns)[0]
    return float(np.mean((seen.response - fitted) ** 2))


def _predicted(fitted: BestFit, columns: dict[str, Array]) -> Array:
    space = fitted.misfit.space
    return space.law.predict(space.expand(fitted.best.coordinates), columns)[0]
