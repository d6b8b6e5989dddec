"""Development sets in the shape of a ladder: five sizes by five ratios D/N of a surface.

Ladders are what people train who fit a law at all: few sizes, the same ratios at each. The
published development sets are sweeps of 80 runs and more. Of each, the rows nearest to the nodes
of a grid of `SIDE` sizes and `SIDE` ratios are taken, every row once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from surface_sets import DEVELOPMENT, Surface, surfaces, with_budgets

SIDE = 5
ENDS = (0.05, 0.95)  # quantiles of the rows between which the grid lies


def ladder_surfaces(only: str = "") -> Iterator[Surface]:
    """A ladder of each published development surface."""
    for surface in surfaces():
        if surface.role == DEVELOPMENT and only in surface.name:
            yield ladder_of(surface)


def ladder_of(surface: Surface) -> Surface:
    """The rows of a surface that are nearest to a grid, with budgets of their own."""
    runs = surface.runs.drop(columns=["budget", "run", "C"])
    place = np.log(np.column_stack([runs.N, runs.D / runs.N]))
    low, high = np.quantile(place, ENDS, axis=0)
    place = (place - low) / (high - low)
    taken: list[int] = []
    for size in np.linspace(0, 1, SIDE):
        for ratio in np.linspace(0, 1, SIDE):
            away = np.abs(place - (size, ratio)).sum(axis=1)
            away[taken] = np.inf
            taken.append(int(np.argmin(away)))
    rows = np.sort(taken)
    return replace(surface, name=f"{surface.name} ladder", runs=with_budgets(runs.iloc[rows]))


def sizes_of(surface: Surface) -> pd.Series:
    """How many rows each budget has."""
    return surface.runs.budget.value_counts().sort_index()
