"""How near predictions are to measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def scores(measured: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """R², mean absolute error, mean signed relative error and the share of errors of one sign.

    Pairs of which one is NaN are left out.

    Raises
    ------
    ValueError
        If the lengths differ, or no pair is left.
    """
    measured, predicted = np.asarray(measured, float), np.asarray(predicted, float)
    if measured.shape != predicted.shape:
        raise ValueError(f"{measured.size} measured values and {predicted.size} predicted ones")
    both = np.isfinite(measured) & np.isfinite(predicted)
    if not both.any():
        raise ValueError("no pair of a measured and a predicted value")
    measured, predicted = measured[both], predicted[both]
    error = predicted - measured
    spread = float(np.sum((measured - measured.mean()) ** 2))
    above = float(np.mean(error > 0))
    return {
        "points": int(both.sum()),
        "r2": 1 - float(np.sum(error**2)) / spread if spread > 0 else float("nan"),
        "mae": float(np.mean(np.abs(error))),
        "relative_error": float(np.mean(error / measured)),
        "one_sided": max(above, 1 - above),
    }
