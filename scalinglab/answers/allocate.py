"""The best split of compute budgets between model size and tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.decisions.allocation import Allocation
from scalinglab.analysis.decisions.approaches import Approaches, approaches_of_fit
from scalinglab.analysis.decisions.cost_functions import COSTS, named_cost
from scalinglab.analysis.decisions.off_optimum import outside_in_words, tokens_to_losses
from scalinglab.analysis.fitting.fit_text import in_a_line
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.answers.fit import FitOptions, fit_table
from scalinglab.options import option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, Within, one_of
from scalinglab.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result


@dataclass(frozen=True, kw_only=True)
class AllocateOptions(FitOptions):
    """Options of an allocation: those of a fit, and the questions to it."""

    budgets: list[float] = option(
        "budgets to split, in FLOPs, or in device-hours with cost=hours; default: those of the"
        " study",
        [],
        ABOVE_0,
        meant_by=("C", "compute"),
    )
    cost: str = option(
        "what a training costs: 6nd, attention (6 N D and causal attention) or hours"
        " (device-hours at the throughput of the runs)",
        "6nd",
    )
    context: int | None = option(
        "tokens in a sequence, for cost=attention on a file", None, AT_LEAST_1
    )
    aspect: float = option("width over depth, for cost=attention on a file", 64.0, ABOVE_0)
    inference_tokens: float = option(
        "tokens that the model will serve; their cost counts", 0.0, Within(0)
    )
    losses: list[float] = option("losses (nats/token): the cheapest training that reaches each", [])
    sizes: list[float] = option(
        "with losses: the tokens on which a model of N parameters reaches each loss", [], ABOVE_0
    )
    batch: float | None = option("with sizes: tokens per step, to count steps", None, ABOVE_0)
    splits: list[list[float]] = option(
        "splits [N,D]: the excess loss of each over the best split of its budget", []
    )
    approaches: bool = option(
        "three approaches side by side: envelope of final losses, IsoFLOP minima, surface", False
    )
    budget: str | None = option(
        "with approaches: the column that names the IsoFLOP budget of a run", None
    )


@dataclass(frozen=True, repr=False)
class Allocated(Shown):
    """The best splits of some budgets, and the other answers.

    Attributes
    ----------
    fit : Result
        The fitted law.
    allocation : Allocation
        The best N and D for each budget.
    cheapest, tokens_to_losses, splits : DataFrame or None
        From `analysis.cheapest`, `analysis.tokens_to_loss` and `analysis.loss_left`.
    approaches : Approaches or None
    """

    fit: Result
    allocation: Allocation
    cheapest: pd.DataFrame | None = None
    tokens_to_losses: pd.DataFrame | None = None
    splits: pd.DataFrame | None = None
    approaches: Approaches | None = None

    @property
    def shown(self) -> Overview:
        """As `Shown`: the best splits, and a table for each other question."""
        tables = {
            "Cheapest training that reaches a loss": self.cheapest,
            "Tokens on which a size reaches a loss": self.tokens_to_losses,
            "Excess loss of other splits": self.splits,
        }
        if self.approaches is not None:
            tables |= self.approaches.shown.tables
        return self.allocation.shown.also(tables, [in_a_line(self.fit)], self.warnings)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The best N and D of each budget, with their intervals."""
        return self.allocation.plot(ax=ax)

    @property
    def warnings(self) -> list[str]:
        """The warnings of the fit and of all that follows from it, each once."""
        sentences = [*self.fit.warnings, *self.allocation.warnings]
        for table in (self.cheapest, self.tokens_to_losses, self.splits):
            sentences += [] if table is None else outside_in_words(self.fit, table)
        if self.approaches is not None:
            sentences += self.approaches.warnings  # the surface's among them, again
        return list(dict.fromkeys(sentences))


def allocate(
    source: Source, options: AllocateOptions, on_fit: Callable[[Result], object] = lambda fit: None
) -> Allocated:
    """Fit a law and split budgets under it.

    Parameters
    ----------
    source : Source
    options : AllocateOptions
    on_fit : callable
        Called with the fit at once: the rest may take long, or be refused.

    Raises
    ------
    UserError
        If an option lacks another that it needs, no budget is named, or the law cannot be fitted.
    """
    _check(options)
    budgets = _budgets(source, options)
    table, law = source.runs(options, options.law)
    cost = named_cost(
        options.cost,
        table,
        context=options.context,
        aspect=options.aspect,
        inference_tokens=options.inference_tokens,
    )
    beyond = times_beyond(table, budgets, cost)
    result = fit_table(source, table, law, options, beyond=beyond)
    on_fit(result)
    return _allocated(result, table, budgets, options, {"cost": cost, "level": options.level})


def _allocated(
    result: Result,
    table: pd.DataFrame,
    budgets: list[float],
    options: AllocateOptions,
    shared: Mapping[str, Any],
) -> Allocated:
    """The answers from a fitted law; `shared` has the cost and the level of all of them."""
    approaches = cheapest = tokens = splits = None
    if options.approaches:
        approaches = approaches_of_fit(
            result,
            table,
            budgets,
            columns=options.columns,
            exclude=options.exclude,
            mix_fingerprints=options.mix_fingerprints,
            budget=options.budget,
            resamples=options.resamples,
            seed=options.seed,
            **shared,
        )
        allocation = approaches.allocation
    else:
        allocation = analysis.allocate(result, budgets, **shared)
    if options.losses:
        cheapest = analysis.cheapest(result, options.losses, **shared)
    if options.sizes:
        tokens = tokens_to_losses(
            result, options.sizes, options.losses, batch=options.batch, level=options.level
        )
    if options.splits:
        points = pd.DataFrame(options.splits, columns=["N", "D"])
        splits = analysis.loss_left(result, points, **shared)
    return Allocated(result, allocation, cheapest, tokens, splits, approaches)


def _check(options: AllocateOptions) -> None:
    one_of("cost", options.cost, COSTS)
    if (options.sizes and not options.losses) or (options.batch and not options.sizes):
        raise ConfigError(
            "sizes asks how many tokens models need to reach losses, batch how many steps: give all"
            " that are needed, as in losses=[2.5] sizes=[1e9] batch=5e5"
        )
    if any(len(split) != 2 for split in options.splits):
        raise ConfigError(f"splits = {options.splits}: each is [N, D], as in splits=[[1e9,2e10]]")
    if options.budget and not options.approaches:
        raise ConfigError(
            f"budget = {options.budget!r} names a column for approaches=true; budgets=[...] says"
            " what is split"
        )


def _budgets(source: Source, options: AllocateOptions) -> list[float]:
    hours = options.cost == "hours"
    budgets = options.budgets or ([] if hours else source.budgets)
    if not budgets:
        unit = "device-hours, as in budgets=[100]" if hours else "FLOPs, as in budgets=[1e18,1e20]"
        raise ConfigError(f"budgets is not set; give {unit}")
    return budgets
