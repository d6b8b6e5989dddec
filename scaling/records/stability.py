"""The stability of a training: spikes of its loss, and a rise of the loss at the end."""

from __future__ import annotations

import numpy as np

WINDOW = 1_000  # earlier values with which a step is compared
LEAST = 100  # earlier values that a spike needs at least
DEVIATIONS = 7.0


def spikes(values: np.ndarray) -> np.ndarray:
    """Steps (from 1) whose value stands out above those before it.

    At least 7 standard deviations above the mean of the last 1,000: the spike score of OLMo 2
    (arXiv 2501.00656), upwards only. A spike stays among the values that the next ones are
    compared with.

    Parameters
    ----------
    values : ndarray
        (steps,) loss or gradient norm.
    """
    values = np.asarray(values, np.float64)
    finite = np.where(np.isfinite(values), values, 0.0)
    # Sums of what is before each step; from the first value, so that squares stay small.
    shifted = finite - (finite[0] if len(finite) else 0.0)
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (shifted, shifted**2))
    end = np.arange(len(values))
    start = np.maximum(end - WINDOW, 0)
    count = np.maximum(end - start, 1)
    mean = (sums[end] - sums[start]) / count
    variance = np.maximum((squares[end] - squares[start]) / count - mean**2, 0.0)
    above = shifted > mean + DEVIATIONS * np.sqrt(variance)
    return np.flatnonzero(above & (count >= LEAST) & np.isfinite(values)) + 1


def rise(loss: np.ndarray) -> float | None:
    """Nats by which the mean loss of the last 100 steps is above the lowest such mean of the run.

    Near zero in a run that trained; large in one that was lost without ever being infinite. None
    for runs too short to tell.
    """
    loss = np.asarray(loss, np.float64)
    if len(loss) < 2 * LEAST or not np.isfinite(loss).all():
        return None
    sums = np.concatenate([[0.0], np.cumsum(loss)])
    means = (sums[LEAST:] - sums[:-LEAST]) / LEAST
    return float(means[-1] - means.min())


def stability(loss: np.ndarray, grad_norm: np.ndarray) -> dict[str, int | float | None]:
    """Columns of a record: ``loss_spikes, grad_norm_spikes`` (counts of steps), ``rise``."""
    return {
        "loss_spikes": len(spikes(loss)),
        "grad_norm_spikes": len(spikes(grad_norm)),
        "rise": rise(loss),
    }
