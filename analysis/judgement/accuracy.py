"""How near predictions are to measurements."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scalinglab.scaling.errors import UserError


def scores(measured: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """R², mean absolute error, mean signed relative error and the share of errors of one sign.

    Pairs of which one is NaN are left out.

    Raises
    ------
    UserError
        If the lengths differ, or no pair is left.
    """
    losses, answers = np.asarray(measured, float), np.asarray(predicted, float)
    if losses.shape != answers.shape:
        raise UserError(f"{losses.size} measured values and {answers.size} predicted ones")
    both = np.isfinite(losses) & np.isfinite(answers)
    if not both.any():
        raise UserError("no pair of a measured and a predicted value")
    losses, answers = losses[both], answers[both]
    error = answers - losses
    spread = float(np.sum((losses - losses.mean()) ** 2))
    above = float(np.mean(error > 0))
    return {
        "points": int(both.sum()),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else float("nan"),
        "mae": float(np.mean(np.abs(error))),
        "relative_error": float(np.mean(error / losses)),
        "one_sided": max(above, 1 - above),
    }
