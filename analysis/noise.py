"""Noise of a measured loss, from runs that differ in nothing but their seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_SCIENCE = ("N", "D", "C", "lr", "batch", "batch_tokens", "schedule", "arm")


def seed_noise(
    data: pd.DataFrame, *, by: Sequence[str] | None = None, response: str = "loss"
) -> float | None:
    """Standard deviation of log(response) over seeds, pooled; None without repeats.

    Parameters
    ----------
    data : DataFrame
        With a column ``seed``.
    by : list of str, optional
        Columns in which repeats must agree. Default: those present of N, D, C, lr, batch,
        batch_tokens, schedule and arm.
    response : str

    Raises
    ------
    ValueError
        If a column is missing.
    """
    by = [c for c in _SCIENCE if c in data.columns] if by is None else list(by)
    for column in [*by, "seed", response]:
        if column not in data.columns:
            raise ValueError(f"seed noise needs column {column!r}")
    known = data[data[response] > 0]
    log_response = np.log(known[response].astype(float))
    groups = log_response.groupby([known[c] for c in by])
    spare = int((groups.size() - 1).sum())
    if spare < 1:
        return None
    within = log_response - groups.transform("mean")
    return float(np.sqrt((within**2).sum() / spare))
