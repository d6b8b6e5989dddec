"""Designs of points: ladders, IsoFLOP curves and grids, within a budget.

Each takes its options, the sizes of the recipe and a key for messages, and gives every run as
dotted keys, in groups from small to large: sizes, or budgets. Costs are training FLOPs (matmul and
causal attention) as if every run were trained whole; runs that share a trunk cost less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from scalinglab.scaling.config import ConfigError
from scalinglab.sweeps.study.rungs import Rung, largest_within, nearest, spread

Point = dict[str, int]


@dataclass(frozen=True)
class DesignBudget:
    """Upper limit for all runs of a design: FLOPs, or hours on a device of known speed."""

    flops: float | None = None
    hours: float | None = None
    flops_per_second: float | None = None  # measured training speed, not the peak

    def total(self, key: str) -> float | None:
        """The limit in FLOPs; None: there is none."""
        if self.hours is None:
            return self.flops
        if self.flops is not None or self.flops_per_second is None:
            raise ConfigError(
                f"{key}.hours = {self.hours:g} needs {key}.flops_per_second, and no {key}.flops"
            )
        return self.hours * 3600 * self.flops_per_second


@dataclass(frozen=True)
class LadderOptions:
    """Sizes times ratios D/N, with more seeds for the smallest sizes."""

    count: int = 5
    smallest: float = 1e4  # N = n_matmul
    largest: float | None = None  # None: what the budget allows
    ratios: list[float] = field(default_factory=lambda: [10.0, 20.0, 40.0])
    seeds: int = 1
    repeat_seeds: int = 3  # seeds of the smallest sizes
    repeat_rungs: int = 1
    grow: str = "width"
    budget: DesignBudget = field(default_factory=DesignBudget)


def ladder(options: LadderOptions, sizes: Sequence[Rung], key: str) -> list[list[Point]]:
    """Every ratio at every size: N and D separate, and repeats say what the noise is."""
    if not options.ratios or min(options.ratios) <= 0 or min(options.seeds, options.count) < 1:
        raise ConfigError(
            f"{key}: ratios = {options.ratios}, seeds = {options.seeds}, count = "
            f"{options.count}; allowed are ratios above 0, and one or more"
        )

    def rungs(top: Rung) -> list[Rung]:
        return spread(sizes, options.smallest, top.n, options.count, key)

    def cost(top: Rung) -> float:
        return sum(
            r.flops * r.n * ratio * seeds
            for r, seeds in _seeded(rungs(top), options)
            for ratio in options.ratios
        )

    top = _top(options, sizes, cost, key)
    return [
        [rung.at(ratio * rung.n, seed) for ratio in options.ratios for seed in range(seeds)]
        for rung, seeds in _seeded(rungs(top), options)
    ]


def _seeded(rungs: Sequence[Rung], options: LadderOptions) -> list[tuple[Rung, int]]:
    more = max(options.seeds, options.repeat_seeds)
    return [
        (rung, more if i < options.repeat_rungs else options.seeds) for i, rung in enumerate(rungs)
    ]


def _top(
    options: LadderOptions, sizes: Sequence[Rung], cost: Callable[[Rung], float], key: str
) -> Rung:
    """The largest size: as asked for, or as the budget allows."""
    budget = options.budget.total(f"{key}.budget")
    if options.largest is None:
        if budget is None:
            raise ConfigError(f"{key}: neither largest nor a budget is set; set one of them")
        # Below a size there must be enough different ones.
        top = largest_within([r for r in sizes if _possible(cost, r)] or sizes, cost, budget)
    else:
        top = nearest(sizes, options.largest)
    total = cost(top)
    if budget is not None and total > budget:
        raise ConfigError(
            f"{key}: {options.count} sizes up to N = {top.n:,} cost {total:.3g} "
            f"FLOPs and the budget is {budget:.3g}; allowed is to raise it, or fewer "
            "sizes, ratios or seeds"
        )
    return top


def _possible(cost: Callable[[Rung], float], rung: Rung) -> bool:
    """Whether there are enough different shapes below a size."""
    try:
        return cost(rung) > 0
    except ConfigError:
        return False


@dataclass(frozen=True)
class IsoflopOptions:
    """For each budget, sizes around the one of a ratio D/N, all of the same FLOPs."""

    budgets: list[float] = field(default_factory=list)  # FLOPs of a run
    count: int = 7
    span: float = 10.0  # the largest N over the smallest of a budget
    ratio: float = 20.0  # D/N in the middle
    seeds: int = 1
    grow: str = "width"
    budget: DesignBudget = field(default_factory=DesignBudget)  # all runs together


def isoflop(options: IsoflopOptions, sizes: Sequence[Rung], key: str) -> list[list[Point]]:
    """IsoFLOP curves: D follows from the budget and the size, exactly but for whole steps."""
    if not options.budgets or min(options.budgets) <= 0 or options.span <= 1 or options.ratio <= 0:
        raise ConfigError(
            f"{key}: budgets = {options.budgets}, span = {options.span:g}, ratio = "
            f"{options.ratio:g}; allowed are budgets and a ratio above 0, a span "
            "above 1"
        )
    total = options.budget.total(f"{key}.budget")
    cost = sum(options.budgets) * options.count * options.seeds
    if total is not None and cost > total:
        raise ConfigError(
            f"{key}: {options.count} sizes at each of {len(options.budgets)} budgets "
            f"cost {cost:.3g} FLOPs and the budget is {total:.3g}; allowed is to "
            "raise it, or fewer sizes, budgets or seeds"
        )
    groups = []
    for flops in sorted(options.budgets):
        middle = min(sizes, key=lambda r: abs(np.log(r.flops * r.n * options.ratio / flops)))
        reach = np.sqrt(options.span)
        chosen = spread(sizes, middle.n / reach, middle.n * reach, options.count, key)
        groups.append(
            [rung.at(flops / rung.flops, seed) for rung in chosen for seed in range(options.seeds)]
        )
    return groups


@dataclass(frozen=True)
class GridOptions:
    """Sizes times tokens, both evenly spaced in logarithms."""

    count: int = 5
    smallest: float = 1e4
    largest: float = 1e5
    tokens: float = 262_144  # the fewest
    factor: float = 2.0  # between neighbours in tokens
    steps: int = 4  # how many of them
    seeds: int = 1
    grow: str = "width"


def nd_grid(options: GridOptions, sizes: Sequence[Rung], key: str) -> list[list[Point]]:
    """Every number of tokens at every size: differences along D cancel what depends on N alone."""
    if options.tokens <= 0 or options.factor <= 1 or min(options.steps, options.seeds) < 1:
        raise ConfigError(
            f"{key}: tokens = {options.tokens:g}, factor = {options.factor:g}, steps "
            f"= {options.steps}; allowed are tokens above 0, a factor above 1"
        )
    chosen = spread(sizes, options.smallest, options.largest, options.count, key)
    tokens = [options.tokens * options.factor**k for k in range(options.steps)]
    return [[rung.at(d, seed) for d in tokens for seed in range(options.seeds)] for rung in chosen]
