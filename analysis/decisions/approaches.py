"""The three approaches of arXiv:2203.15556 to the best N and D for a budget, side by side.

1. the envelope of final losses, or of training curves if given
   (`scalinglab.analysis.decisions.training_envelope`),
2. the minima of IsoFLOP curves (`scalinglab.analysis.decisions.isoflop`),
3. the surface (`scalinglab.analysis.decisions.allocation`).

The first two end in a power law N* = G C^a; D* follows from the budget. If they disagree, the
design or the law is wrong, which no interval of one approach can show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import Allocation, allocate
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost, cost_in_words
from scalinglab.analysis.decisions.isoflop import Minima, isoflop_minima
from scalinglab.analysis.decisions.isoflop_surface import parabola_bias, to_one_cost
from scalinglab.analysis.decisions.power_line import PowerLine, line_through
from scalinglab.analysis.decisions.training_envelope import Envelope, envelope
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import as_law_columns
from scalinglab.analysis.tables.points import read_points
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

NAMES = {1: "1 envelope", 2: "2 IsoFLOP", 3: "3 surface"}
_MAY_LACK = 0.05  # share of the resamples without a power law from which a warning says so


@dataclass(frozen=True, repr=False)
class Approaches(Shown):
    """The answers of each approach.

    Attributes
    ----------
    table : DataFrame
        One row for each budget and approach: ``approach, C``, and ``N, D, tokens_per_parameter``
        with intervals.
    exponents : DataFrame
        One row for each approach: ``approach, a, b`` of N* ~ C^a and D* ~ C^b with intervals, and
        ``seen``: the number of sizes that take over from smaller ones (1), budgets (2) or points
        (3) that they come from.
    refused : DataFrame
        ``approach, C, why``: approaches and IsoFLOP budgets without an answer, and the reason.
    minima : Minima
    envelope : Envelope
    surface : Result
    allocation : Allocation
        Approach 3 with its losses.
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

    @property
    def shown(self) -> Overview:
        """As `Shown`: how N* and D* grow by each approach, and the best splits."""
        tables = {
            "Growth with C by approach": self.exponents,
            "Best splits by approach": self.table,
        }
        refused = tuple(refusals_in_words(self.refused))
        return Overview("Approaches side by side", tables, (self.cost, *refused), self.warnings)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The best N and D of each budget by the surface, with their intervals."""
        return self.allocation.plot(ax=ax)


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
        ``N, D, loss``: one row per finished run.
    budgets : list of float
        In the unit of `cost`.
    law : str
        Law of the surface.
    budget : str, optional
        The column whose values group the points by IsoFLOP budget. Default: points of about equal
        cost form a budget.
    curves : DataFrame, optional
        ``N, D, loss`` along training curves, for the envelope. Default: `points`, the final
        losses of the runs.
    surface : Result, optional
        A fit of the points by their column names, if it exists already.
    allocation : Allocation, optional
        Best splits of these budgets by the surface, if they exist already.
    resamples : int
        Number of resamples for the intervals; 0 for none.
    seed : int
        Bootstrap seed.
    level : float
        Level of the intervals.
    **options
        Options of the surface's fit; see `analysis.fit`.

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
    level_points, moved = to_one_cost(costed, surface, cost, budget)
    minima = isoflop_minima(level_points, budget=budget, level=level, **bootstrap)
    by_envelope = envelope(points if curves is None else curves, cost=cost, **bootstrap)
    lines = {1: PowerLine.of(by_envelope.power), 2: PowerLine.of(line_through(minima))}
    counts = {1: len(by_envelope.table), 2: len(minima.found)}
    rows, exponents = [], []
    for approach, line in lines.items():
        if line.exists:
            name = {"approach": NAMES[approach]}
            rows += [name | row for row in line.rows(budgets, cost, level, resampled=resamples > 0)]
            growth = line.exponents(budgets, cost, level, resampled=resamples > 0)
            exponents.append({**name, **growth, "seen": counts[approach]})
    rows += third.table.assign(approach=NAMES[3])[_columns(third.table)].to_dict("records")
    exponents.append({"approach": NAMES[3], **_of_surface(third.exponents), "seen": surface.points})
    bias = parabola_bias(surface, level_points, minima, cost, budget)
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
    """All approaches for the table that a law was fitted to, with that fit as the surface.

    Parameters
    ----------
    law : Result
        The fit of `table` with the same `columns`, `exclude` and `mix_fingerprints`.
    table : DataFrame
    budgets : list of float
    **options
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
    """All approaches for a study's runs, from its fit and its allocation of budgets.

    None if only the surface gives an answer.
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
        reason = f"{_counted(len(minima.found), 'budget')} with a minimum: a power law needs two"
        rows.append({"approach": NAMES[2], "C": np.nan, "why": reason})
    if by_envelope.refused:
        rows.insert(0, {"approach": NAMES[1], "C": np.nan, "why": by_envelope.refused})
    return pd.DataFrame(rows, columns=["approach", "C", "why"])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def refusals_in_words(refused: pd.DataFrame) -> list[str]:
    """Approaches and budgets without an answer, a sentence for each reason."""
    sentences = []
    for (approach, reason), rows in refused.groupby(["approach", "why"], sort=False):
        low, high = rows["C"].min(), rows["C"].max()
        between = f"C = {low:.3g}" if len(rows) == 1 else f"C = {low:.3g} to {high:.3g}"
        budgets = "" if np.isnan(low) else (f"{_counted(len(rows), 'budget')} ({between}) ")
        sentences.append(f"approach {approach}, {budgets}refused: {reason}")
    return sentences
