"""Candidates for a table: laws, each with its window of scales, and the share of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.choice.origins import (
    SHARES,
    Origin,
    budget_origins,
    group_origins,
    in_window,
    levels,
    of_runs,
)
from scalinglab.analysis.choice.score import (
    NEAR,
    HeldOut,
    cluster_scores,
    leads,
    log_densities,
    stacked,
    trend,
)
from scalinglab.analysis.default_laws import MIXED_CURVES, MIXED_SURFACES
from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.held_out_errors import (
    SPARE,
    ahead,
    drawn_scores,
    held_out_errors,
    of_rows,
    wild_rows,
    without_rows,
)
from scalinglab.analysis.intervals.freedom import reason_to_withhold
from scalinglab.analysis.laws.law import Columns
from scalinglab.analysis.progress import each
from scalinglab.analysis.tables.point_checks import TooFewPoints
from scalinglab.scaling.errors import UserError

Array = np.ndarray

Cost = Callable[[Array, Array], Array]

_FEWEST = 6  # rows that an origin must leave


@dataclass(frozen=True)
class LawChoice:
    """The predictions of each law for held-out points, and its share of the mixture.

    Attributes
    ----------
    fitted : tuple of BestFit
        Each law, to the rows of its window.
    rows : array of bool, shape (laws, n)
        Its window among the points.
    whole : tuple of BestFit
        Each law, to all points.
    windows, shares : array, shape (laws,)
        The share of the points left out from below; the share of the law in the mixture.
    held : HeldOut
        Predictions ahead of the origins, by law.
    score, bias : array, shape (laws,)
        Mean log predictive density, and the signed error that its trend gives at the question; NaN
        where nothing was held out.
    origins : tuple of Origin
    question : float
        Logarithm of how many times beyond the points the question lies.
    cluster : array of int, shape (n,)
        Points that miss together: those of a budget, or of a schedule.
    not_scored : int
        Number of points far from every law that fits the others: they count in no score.
    drawn : array, shape (draws, laws, clusters), optional
        The scores of refits, see `drawn_scores`.
    held_whole : HeldOut, optional
        As `held`, of each law fitted to all rows that an origin has seen, whatever its window.
    """

    fitted: tuple[BestFit, ...]
    rows: Array
    whole: tuple[BestFit, ...]
    windows: Array
    shares: Array
    held: HeldOut
    score: Array
    bias: Array
    origins: tuple[Origin, ...]
    question: float
    cluster: Array
    not_scored: int = 0
    drawn: Array | None = None
    held_whole: HeldOut | None = None

    @property
    def heaviest(self) -> int:
        """The law of the largest share."""
        return int(np.argmax(self.shares))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the laws."""
        return tuple(fit.misfit.space.law.name for fit in self.whole)

    @property
    def table(self) -> pd.DataFrame:
        """One row per law, the largest share first: ``share, window, free, score, error, bias``,
        ``behind``, how often the law of the best score keeps its lead over this one, and
        ``whole_error``, the error without a window: of the law fitted to all budgets seen.
        """
        error = whole_error = behind = np.full(len(self.shares), np.nan)
        if self.origins:
            error = whole_error = _error(self.held, self.question)
            if self.held_whole is not None:
                whole_error = _error(self.held_whole, self.question)
            scores = cluster_scores(self.held, self.question, self.cluster)
            behind = leads(scores, self.drawn)
        table = pd.DataFrame(
            {
                "share": self.shares,
                "window": self.windows,
                "free": [len(fit.misfit.space.free) for fit in self.whole],
                "score": self.score,
                "error": error,
                "bias": self.bias,
                "behind": behind,
                "whole_error": whole_error,
            },
            index=pd.Index(self.names, name="law"),
        )
        return table.sort_values("share", ascending=False, kind="stable")


def _error(held: HeldOut, question: float) -> Array:
    """Root mean square of the held-out errors, as each counts, (laws,)."""
    return np.sqrt(held.sizes**2 @ held.weights(question))


def choose_laws(
    data: pd.DataFrame, options: FitOptions, beyond: float | None, drawn: bool = True
) -> LawChoice:
    """Fit every law that the table has the columns of, and weigh them.

    Unless `drawn`, how often the best keeps its lead is judged by the fits as they are.

    Raises
    ------
    UserError
        If no law can be fitted; the first one's sentence.
    """
    fits = _fitted(mixed_laws(data), data, options)
    points = fits[0].points
    question = NEAR if beyond is None else float(np.log(max(beyond, 1.0)))
    budget = np.ones(len(points))
    windows: tuple[float, ...] = (0.0,)
    if fits[0].misfit.space.law.curve:
        schedules = _schedules(data.iloc[points.rows])
        origins, cluster = group_origins(schedules), np.unique(schedules, return_inverse=True)[1]
    else:
        budget, windows, run = budget_of(points.columns), tuple(SHARES), points.cluster
        origins = budget_origins(budget, _FEWEST, run)
        cluster = levels(budget if run is None else of_runs(budget, run))
    wild = wild_rows(fits)
    without_wild = without_rows(origins, wild)
    choice = weigh(fits, without_wild or origins, budget, windows, question, cluster)
    scores = None
    if drawn and choice.origins:
        chosen = choice.windows.tolist()
        scores = drawn_scores(fits, choice.origins, chosen, budget, question, cluster)
    return replace(choice, not_scored=int(wild.sum()) if without_wild else 0, drawn=scores)


def times_beyond(
    runs: pd.DataFrame, costs: Iterable[float], cost: Cost | None = None
) -> float | None:
    """How many times beyond the runs the largest of some budgets lies; None where nobody can say.

    Parameters
    ----------
    runs : DataFrame
        With ``N`` and ``D``, else None.
    costs : iterable of float
        In FLOPs, 6 N D, or in the unit of the `cost` of N and D.
    """
    costs = list(costs)
    if not costs or not {"N", "D"} <= set(runs.columns) or runs.empty:
        return None
    N, D = (runs[name].to_numpy(float) for name in ("N", "D"))
    largest = float(np.nanmax(6 * N * D if cost is None else cost(N, D)))
    return max(costs) / largest if largest > 0 else None


def weigh(
    fits: Sequence[BestFit],
    origins: Sequence[Origin],
    budget: Array,
    windows: Sequence[float],
    question: float,
    cluster: Array,
) -> LawChoice:
    """The window and the share of each law, from what all predict ahead of origins."""
    nothing = np.full(len(fits), np.nan)
    every = np.ones((len(fits), len(budget)), bool)
    if not origins:
        shares = np.full(len(fits), 1 / len(fits))
        none = HeldOut(np.empty((len(fits), 0)), *np.empty((2, 0), int), *np.empty((2, 0)))
        return LawChoice(
            tuple(fits), every, tuple(fits), np.zeros(len(fits)), shares, none, nothing, nothing,
            (), question, cluster,
        )  # fmt: skip
    noise = fits[0].points.noise
    chosen, whole, windows_of, rows = [], [], [], []
    all_rows = np.ones(len(budget), bool)
    for fit in each(fits, "laws held out"):
        error = held_out_errors(fit, origins, windows, budget)
        predictions = ahead(error, origins, noise)
        weights = predictions.weights(question)
        score = log_densities(predictions, weights, question) @ weights
        masks = [in_window(budget, all_rows, share) for share in windows]
        free = len(fit.misfit.space.free)
        allowed = [k.sum() >= free + SPARE or k.all() for k in masks]
        k = int(np.argmax(np.where(allowed, score, -np.inf)))
        chosen.append(error[k])
        whole.append(error[0])  # the first window leaves out nothing
        windows_of.append(windows[k])
        rows.append(masks[k])
    predictions = ahead(np.array(chosen), origins, noise)
    weights = predictions.weights(question)
    density = log_densities(predictions, weights, question)
    shares, bias = stacked(density, weights), trend(predictions, weights, question)
    return LawChoice(
        tuple(o if r.all() else of_rows(o, r) for o, r in zip(fits, rows, strict=True)),
        np.array(rows), tuple(fits), np.array(windows_of), shares, predictions, density @ weights,
        bias.value, tuple(origins), question, cluster,
        held_whole=ahead(np.array(whole), origins, noise),
    )  # fmt: skip


def mixed_laws(data: pd.DataFrame) -> tuple[str, ...]:
    """The laws of a mixture: of curves where the table has some, else of N and D."""
    return MIXED_CURVES if {"step", "lr"} <= set(data.columns) else MIXED_SURFACES


def budget_of(columns: Columns) -> Array:
    """Product of all columns: N and D together are the budget."""
    return np.exp(np.sum([np.log(column) for column in columns.values()], axis=0))


def _fitted(laws: Sequence[str], data: pd.DataFrame, options: FitOptions) -> list[BestFit]:
    """The laws that can be fitted; only those with intervals, if there are any."""
    fits, refused = [], []
    for law in laws:
        try:
            fits.append(best_fit(law, data, options))
        except UserError as error:
            refused.append(error)
    if not fits:
        # Of laws that more points would carry a report shows the runs: one such law is enough.
        raise next((error for error in refused if isinstance(error, TooFewPoints)), refused[0])
    with_intervals = [fit for fit in fits if not reason_to_withhold(fit.freedom)]
    return with_intervals or fits


def _schedules(rows: pd.DataFrame) -> Array:
    name = "schedule" if "schedule" in rows else "run"
    return rows[name].astype(str).to_numpy() if name in rows else np.zeros(len(rows)).astype(str)
