"""Development sets that are small, or whose rows are checkpoints of a few runs.

The published development sets have 80 runs and more, one row each. Thinned ones are 30 rows of
each, drawn at random once. Synthetic sets have six runs of ten checkpoints: losses before the end
lie above the law by up to 1 %, as the learning rate has not yet fallen; each run has its own noise,
and the errors of its checkpoints are autocorrelated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from surface_sets import DEVELOPMENT, Surface, surfaces, with_budgets

ROWS = 30
RUNS, CHECKPOINTS = 6, 10
MADE = 8


def small_surfaces(only: str = "") -> Iterator[Surface]:
    """Both kinds, with the role on which defaults may be chosen."""
    for surface in surfaces():
        if surface.role == DEVELOPMENT and only in surface.name:
            yield thinned(surface)
    for seed in range(MADE):
        if only in (made := made_of_checkpoints(seed)).name:
            yield made


def thinned(surface: Surface) -> Surface:
    """Some rows of a surface, with budgets of their own."""
    runs = surface.runs.drop(columns=["budget", "run"])
    rng = np.random.default_rng([0, len(runs)])
    rows = np.sort(rng.choice(len(runs), min(ROWS, len(runs)), replace=False))
    if "curves" in surface.name:  # no named budgets: octaves of the remaining runs
        runs = runs.drop(columns="C")
    return replace(surface, name=f"{surface.name} thin", runs=with_budgets(runs.iloc[rows]))


def made_of_checkpoints(seed: int) -> Surface:
    """Checkpoints of six runs, by Chinchilla's law or one of two others."""
    rng = np.random.default_rng(seed)
    kind = ("chinchilla", "skaling", "bent")[seed % 3]
    parts = []
    for run, N in enumerate(np.geomspace(2e7, 2e9, RUNS)):
        longest = 20 * N * (1 if seed % 2 else (2e9 / N) ** 0.5)
        D = longest * np.linspace(1 / CHECKPOINTS, 1, CHECKPOINTS)
        error, errors = 0.0, np.zeros(CHECKPOINTS)
        for k in range(CHECKPOINTS):
            error = 0.7 * error + 0.001 * rng.standard_normal()
            errors[k] = error
        luck = 0.002 * rng.standard_normal()
        loss = _loss(kind, N, D) * np.exp(luck + errors) * (1 + 0.01 * (1 - D / longest))
        parts.append(pd.DataFrame({"run": run, "N": N, "D": D, "loss": loss}))
    name = f"made {kind} {seed}"
    return Surface(name, with_budgets(pd.concat(parts)), DEVELOPMENT, "made", name)


def _loss(kind: str, N: float, D: np.ndarray) -> np.ndarray:
    if kind == "skaling":
        return 1.6 + ((300 / N**0.33) ** (1 / 0.7) + (1500 / D**0.36) ** (1 / 0.7)) ** 0.7
    size, data = 400 / N**0.34, 1800 / D**0.37
    if kind == "bent":
        size *= (1 + (N / 3e8) ** 0.5) ** -0.3
        data = data * (1 + (D / 2e10) ** 0.5) ** -0.3
    return 1.7 + size + data
