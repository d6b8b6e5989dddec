"""The three approaches of arXiv:2203.15556 to the best N and D for a budget, side by side.

1. the envelope of training curves (`scalinglab.analysis.decisions.training_envelope`),
2. the minima of IsoFLOP curves (`scalinglab.analysis.decisions.isoflop`),
3. the surface (`scalinglab.analysis.decisions.allocation`).

The first two end in a power law N* = G C^a; D* is what the budget then pays for. Where they
disagree, the design or the law is to blame: no interval of one approach shows that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import Allocation, allocate
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost, cost_in_words
from scalinglab.analysis.decisions.isoflop import Minima, isoflop_minima
from scalinglab.analysis.decisions.optimum import best_split, loss_at, tokens_for_budget
from scalinglab.analysis.decisions.power_line import PowerLine, line_through
from scalinglab.analysis.decisions.training_envelope import Envelope, envelope
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import log_log_slope
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import as_law_columns
from scalinglab.analysis.tables.points import read_points
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.records.state import State

Array = np.ndarray

NAMES = {1: "1 envelope", 2: "2 IsoFLOP", 3: "3 surface"}
_SAME_COST = 1.02  # ratio of costs within a budget up to which points count as of one cost
_FAR_APART = 2.0  # and from which on no surface should bring them together
_MAY_LACK = 0.05  # of the resamples, that have no power law without a word
_BIASED = 0.1  # of N*, that a parabola alone may be wrong by without a word


@dataclass(frozen=True)
class Approaches:
    """What each approach says.

    Attributes
    ----------
    table : DataFrame
        One row a budget and an approach: ``approach, C``, and ``N, D, tokens_per_parameter`` with
        intervals.
    exponents : DataFrame
        One row an approach: ``approach, a, b`` of N* ~ C^a and D* ~ C^b with intervals, and
        ``seen``: from how many sizes (1), budgets (2) or points (3).
    refused : DataFrame
        ``approach, C, why``: approaches and IsoFLOP budgets that give nothing, and why.
    minima : Minima
    envelope : Envelope
    surface : Result
    allocation : Allocation
        Of the surface alone: approach 3 with its losses.
    cost : str
    warnings : tuple of str
    """

    table: pd.DataFrame
    exponents: pd.DataFrame
    refused: pd.DataFrame
    minima: Minima
    envelope: Envelope
    surface: Result
    allocation: Allocation
    cost: str
    warnings: tuple[str, ...]


def compare_approaches(
    points: pd.DataFrame,
    budgets: float | Iterable[float],
    *,
    law: str = LAW,
    cost: Cost = SIX_ND,
    budget: str | None = None,
    curves: pd.DataFrame | None = None,
    surface: Result | None = None,
    allocation: Allocation | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> Approaches:
    """Allocate budgets in three ways.

    Parameters
    ----------
    points : DataFrame
        ``N, D, loss``: one row a finished run.
    budgets : list of float
        In the unit of `cost`.
    law : str
        Of the surface.
    budget : str, optional
        The column that says which points are of one IsoFLOP budget. Default: points whose cost
        is about the same.
    curves : DataFrame, optional
        ``N, D, loss`` along training curves, for the envelope. Default: `points`.
    surface : Result, optional
        A fit of the points, where there is one already, in their names of the columns.
    allocation : Allocation, optional
        Of the surface, for these budgets, where there is one already.
    resamples : int
        Number of resamples for the intervals; 0 for none.
    seed : int
        Of the resampling.
    level : float
        Of the intervals.
    **options
        Of the surface's fit; see `analysis.fit`.

    Raises
    ------
    UserError
        As `analysis.fit` and `analysis.allocate`.
    """
    if surface is None:
        surface = fit(law, points, resamples=resamples, seed=seed, level=level, **options)
    budgets = np.atleast_1d(np.asarray(budgets, float))
    third = allocation or allocate(surface, budgets, cost=cost, level=level)
    N, D = (points[name].to_numpy(float) for name in ("N", "D"))
    costed = points.assign(C=cost(N, D))
    bootstrap: dict[str, Any] = {"resamples": resamples, "seed": seed}
    level_points, moved = _to_one_cost(costed, surface, cost, budget)
    minima = isoflop_minima(level_points, budget=budget, level=level, **bootstrap)
    by_envelope = envelope(points if curves is None else curves, cost=cost, **bootstrap)
    lines = {1: PowerLine.of(by_envelope.power), 2: PowerLine.of(line_through(minima))}
    counts = {1: by_envelope.sizes, 2: len(minima.found)}
    rows, exponents = [], []
    for approach, line in lines.items():
        if line.exists:
            name = {"approach": NAMES[approach]}
            rows += [name | row for row in line.rows(budgets, cost, level, resampled=resamples > 0)]
            growth = line.exponents(budgets, cost, level, resampled=resamples > 0)
            exponents.append({**name, **growth, "seen": counts[approach]})
    rows += third.table.assign(approach=NAMES[3])[_columns(third.table)].to_dict("records")
    exponents.append({"approach": NAMES[3], **_of_surface(third.exponents), "seen": surface.points})
    bias = _bias(surface, level_points, minima, cost, budget)
    warnings = [*third.warnings, *_without_line(lines), *moved, *bias]
    return Approaches(
        pd.DataFrame(rows).sort_values(["C", "approach"], ignore_index=True),
        pd.DataFrame(exponents),
        _refused(minima, by_envelope),
        minima,
        by_envelope,
        surface,
        third,
        cost_in_words(cost),
        tuple(warnings),
    )


def approaches_of_fit(
    law: Result,
    table: pd.DataFrame,
    budgets: float | Iterable[float],
    *,
    columns: Mapping[str, Any] | None = None,
    exclude: Sequence[str] = (),
    mix_fingerprints: bool = False,
    **options: Any,
) -> Approaches:
    """All approaches for the table that a law was fitted to; the fit is the surface.

    Parameters
    ----------
    law : Result
        The fit of `table` with the same `columns`, `exclude` and `mix_fingerprints`.
    table : DataFrame
    budgets : list of float
    **asked
        ``cost, budget, resamples, seed, level`` of `compare_approaches`.
    """
    row_numbers = read_points(
        law.law, table, columns=columns, exclude=exclude, mix_fingerprints=mix_fingerprints
    ).rows
    points = as_law_columns(with_multiples(table.iloc[row_numbers], columns), columns or {})
    surface = replace(law, columns={name: name for name in law.columns})
    return compare_approaches(points, budgets, surface=surface, **options)


def other_approaches(
    law: Result, runs: pd.DataFrame, allocation: Allocation | None
) -> Approaches | None:
    """All approaches for a study's runs, its fitted law and how that splits the study's budgets.

    None where only the surface gives an answer.
    """
    if allocation is None:
        return None
    finished = runs[(runs["status"] == State.DONE) & runs["loss"].notna()]
    approaches = compare_approaches(
        finished,
        allocation.table["C"],
        surface=law,
        allocation=allocation,
        resamples=len(law.draws),
        level=law.settings["level"],
    )
    return approaches if len(approaches.exponents) > 1 else None


def _to_one_cost(
    points: pd.DataFrame, surface: Result, cost: Cost, budget: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Points of a named budget brought to its mean cost along the surface, at their own N.

    Sweeps are of one cost as their authors count it; under another the points lie apart.
    """
    if budget is None or budget not in points:
        return points, []
    log_C = np.log(points["C"]).groupby(points[budget])
    apart = float(np.exp((log_C.max() - log_C.min()).max()))
    if not _SAME_COST < apart <= _FAR_APART:
        return points, []
    C = np.exp(log_C.transform("mean")).to_numpy(float)
    at_one_cost = points.assign(D=tokens_for_budget(cost, points["N"].to_numpy(float), C))
    moved = _surface_at(surface, at_one_cost) / _surface_at(surface, points)
    return points.assign(C=C, loss=points["loss"] * moved), [
        f"approach 2: the points of one budget differ up to {apart:.2g}-fold in this cost; their"
        " losses were brought to one cost along the surface"
    ]


def _surface_at(surface: Result, points: pd.DataFrame) -> Array:
    """The surface's loss at N and D of each point, whatever their names were when it was fitted."""
    best = np.array([list(surface.params.values())])
    N, D = (points[name].to_numpy(float)[None] for name in ("N", "D"))
    return loss_at(surface.law, best, N, D)[0]


def _without_line(lines: Mapping[int, PowerLine]) -> list[str]:
    return [
        f"approach {approach}: {line.lost:.0%} of the resamples give no power law: its intervals"
        " are of the others"
        for approach, line in lines.items()
        if line.lost > _MAY_LACK
    ]


def _of_surface(exponents: pd.DataFrame) -> Mapping[str, float]:
    return {
        column.replace("exponent", short): float(exponents[column][name])
        for short, name in (("a", "N"), ("b", "D"))
        for column in names_of(exponents)
    }


def _columns(table: pd.DataFrame) -> list[str]:
    quantities = ("N", "D", "tokens_per_parameter")
    ends = [
        c for c in names_of(table) if any(c in (k, f"{k}_lower", f"{k}_upper") for k in quantities)
    ]
    return ["approach", "C", *ends]


def _refused(minima: Minima, by_envelope: Envelope) -> pd.DataFrame:
    rows = [
        {"approach": NAMES[2], "C": row["C"], "why": row["refused"]}
        for row in minima.table[minima.table["refused"] != ""].to_dict("records")
    ]
    if len(minima.found) < 2:
        reason = f"{len(minima.found)} budgets with a minimum: a power law needs two"
        rows.append({"approach": NAMES[2], "C": np.nan, "why": reason})
    if by_envelope.refused:
        rows.insert(0, {"approach": NAMES[1], "C": np.nan, "why": by_envelope.refused})
    return pd.DataFrame(rows, columns=["approach", "C", "why"])


def _bias(
    surface: Result, points: pd.DataFrame, minima: Minima, cost: Cost, budget: str | None
) -> list[str]:
    """What the parabola alone gets wrong, had the surface made these points without noise."""
    predicted_points = points.assign(loss=_surface_at(surface, points))
    without = isoflop_minima(predicted_points, budget=budget, resamples=0).table
    both = (minima.table["refused"] == "").to_numpy() & (without["refused"] == "").to_numpy()
    if both.sum() < 2:
        return []
    C = without["C"].to_numpy(float)[both]
    best = np.array([list(surface.params.values())])
    true = np.concatenate([best_split(surface.law, best, c, cost)[0] for c in C])
    by_parabola = without["N"].to_numpy(float)[both]
    off = np.log(by_parabola / true)
    if not np.isfinite(off).all() or np.abs(off).max() < np.log1p(_BIASED):
        return []
    slopes = [float(log_log_slope(C, n[:, None])[0]) for n in (by_parabola, true)]
    return [
        f"approach 2: at these sizes a parabola through the surface's own losses misses N* by"
        f" {np.expm1(off.min()):+.0%} to {np.expm1(off.max()):+.0%} and a by"
        f" {slopes[0] - slopes[1]:+.3f}: its interval does not show that"
    ]


def refusals_in_words(refused: pd.DataFrame) -> list[str]:
    """What no approach could be made of, a sentence for each reason."""
    sentences = []
    for (approach, reason), rows in refused.groupby(["approach", "why"], sort=False):
        low, high = rows["C"].min(), rows["C"].max()
        between = f"C = {low:.3g}" if len(rows) == 1 else f"C = {low:.3g} to {high:.3g}"
        budgets = (
            ""
            if np.isnan(low)
            else (f"{len(rows)} budget{'s' if len(rows) > 1 else ''} ({between}) ")
        )
        sentences.append(f"approach {approach}, {budgets}refused: {reason}")
    return sentences
