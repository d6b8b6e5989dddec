"""Runs by mixture: their shares, and their losses on each validation set at the best trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.best_mixture import weights_of
from scalinglab.analysis.intervals.power import least_effect
from scalinglab.analysis.laws.mixing import SHARE
from scalinglab.analysis.tables.noise import seed_scatter
from scalinglab.analysis.tables.trials import edge_warnings, trial_columns, trials_chosen
from scalinglab.analysis.tables.typed import names_of
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS
from scalinglab.scaling.errors import UserError


@dataclass(frozen=True)
class Mixtures:
    """Runs by mixture.

    Attributes
    ----------
    table : DataFrame
        One row per mixture, size and length: ``mixture, N, D, held_out``, shares, mean losses over
        seeds at the best learning rate, and their weighted ``mean``.
    pools, targets : list of str
        What was drawn from, and the validation sets.
    weights : array, shape (targets,)
        Of each validation set in the mean; they sum to 1.
    least : float
        The least relative difference of the mean loss that seeds do not hide; infinite without any.
    edges : list of str
        Where the best learning rate is the end of its grid.
    """

    table: pd.DataFrame
    pools: list[str]
    targets: list[str]
    weights: np.ndarray
    least: float
    edges: list[str]

    @property
    def cells(self) -> list[pd.DataFrame]:
        """The rows of each size and length, the largest last."""
        cells = [cell for _, cell in self.table.groupby(["N", "D"])]
        return sorted(cells, key=lambda cell: float((cell["N"] * cell["D"]).iloc[0]))


def mixtures_of(
    runs: pd.DataFrame,
    arm: str = "mixture",
    targets: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
) -> Mixtures:
    """Gather runs by mixture.

    Parameters
    ----------
    runs : DataFrame
        ``share.<pool>, loss.<target>, N, D``; where known ``lr, seed, role``, `arm`, and ``loss``,
        without which a run diverged.
    arm : str
        What tells mixtures apart; where there is no such column, the shares.
    targets : sequence of str, optional
        Validation sets; default: one of each pool.
    weights : mapping, optional
        Of each validation set in the mean; default: equal ones.

    Raises
    ------
    UserError
        If there are no pools, every run diverged, another was not validated on a target, or the
        weights make no mean.
    """
    pools = sorted(c.removeprefix(SHARE) for c in names_of(runs) if c.startswith(SHARE))
    if len(pools) < 2:
        raise UserError(
            "these runs do not draw from several pools: data.pools gives them some, columns"
            f" {SHARE}POOL in a file"
        )
    targets = list(targets or pools)
    weight = weights_of(weights, targets)
    is_ended = np.isfinite(runs["loss"].astype(float)) if "loss" in runs else runs["N"].notna()
    if not is_ended.any():
        raise UserError("every run diverged: there is nothing to compare")
    for target in targets:
        column = f"{FURTHER_LOSS}{target}"
        if column not in runs or runs.loc[is_ended, column].isna().any():
            available = [
                c.removeprefix(FURTHER_LOSS) for c in names_of(runs) if c.startswith(FURTHER_LOSS)
            ]
            raise UserError(
                f"targets: not every run was validated on {target!r}; there are"
                f" {', '.join(available) or 'none'}"
            )
    losses = [f"{FURTHER_LOSS}{t}" for t in targets]
    shares = [f"{SHARE}{p}" for p in pools]
    mean = (runs[losses].astype(float) * weight).sum(axis=1)
    runs = runs.assign(loss=mean.where(is_ended, np.inf))
    if arm not in runs:
        texts = [
            ", ".join(f"{p} {s:.4g}" for p, s in zip(pools, row, strict=True))
            for row in runs[shares].to_numpy()
        ]
        runs = runs.assign(**{arm: texts})
    least = np.inf
    if "seed" in runs:
        by = [arm, "N", "D", *trial_columns(runs, [arm, "N", "D"])]
        scatter = seed_scatter(runs[np.isfinite(runs["loss"])], by=by)
        least = least_effect(scatter.noise, scatter.seeds, scatter.spare)
    edges = edge_warnings(runs, [arm, "N", "D"], "mixtures, sizes and lengths")
    runs = trials_chosen(runs, arm)
    runs = runs[np.isfinite(runs["loss"])]
    roles = runs["role"] if "role" in runs else pd.Series("", runs.index)
    held_out = roles.astype(str).str.split(",").map(lambda named: "held_out" in named)
    keys = [runs[arm], runs["N"], runs["D"], held_out.rename("held_out")]
    table = runs[[*shares, *losses]].groupby(keys).mean().reset_index()
    table["mean"] = (table[losses] * weight).sum(axis=1)
    return Mixtures(table.rename(columns={arm: "mixture"}), pools, targets, weight, least, edges)
