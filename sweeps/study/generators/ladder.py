"""A ladder: sizes times ratios D/N, with more seeds for the smallest sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, setting
from scalinglab.sweeps.study.generator import GENERATORS, BudgetedDesign
from scalinglab.sweeps.study.rungs import SEVERAL, Rung, largest_within, nearest, spread


@GENERATORS.register("ladder")
@dataclass(frozen=True, kw_only=True)
class Ladder(BudgetedDesign):
    """Separates the effects of N and D, and measures the noise by repeated seeds.

    Attributes
    ----------
    count : int
        Number of sizes.
    smallest : float
        N = n_matmul of the smallest size.
    largest : float or None
        N of the largest size; None: what the budget allows.
    ratios : list of float
        D/N.
    repeat_seeds, repeat_rungs : int
        Seeds of the smallest sizes, and how many sizes are repeated so.
    """

    count: int = setting(5, SEVERAL)
    smallest: float = setting(1e4, ABOVE_0)
    largest: float | None = setting(None, ABOVE_0)
    ratios: list[float] = setting([10.0, 20.0, 40.0], ABOVE_0)
    repeat_seeds: int = setting(3, AT_LEAST_0)
    repeat_rungs: int = setting(1, AT_LEAST_0)

    def groups(self, sizes: Sequence[Rung], key: str) -> list[list[dict[str, int]]]:
        """Every ratio at every size."""
        if not self.ratios:
            raise ConfigError(f"{key}.ratios is empty: allowed are ratios D/N above 0")

        def rungs(top: Rung) -> list[tuple[Rung, int]]:
            return self._with_seeds(spread(sizes, self.smallest, top.n, self.count, key))

        def cost(top: Rung) -> float:
            return sum(self._flops(rung) * seeds for rung, seeds in rungs(top))

        return [
            [rung.at(ratio * rung.n, seed) for ratio in self.ratios for seed in range(seeds)]
            for rung, seeds in rungs(self._top(sizes, cost, key))
        ]

    def _flops(self, rung: Rung) -> float:
        """Training FLOPs of one seed of a size, at all ratios."""
        return sum(rung.flops * rung.n * ratio for ratio in self.ratios)

    def _with_seeds(self, rungs: Sequence[Rung]) -> list[tuple[Rung, int]]:
        """Each size with its number of seeds."""
        repeated = max(self.seeds, self.repeat_seeds)
        return [
            (rung, repeated if i < self.repeat_rungs else self.seeds)
            for i, rung in enumerate(rungs)
        ]

    def _top(self, sizes: Sequence[Rung], cost: Callable[[Rung], float], key: str) -> Rung:
        """The largest size: as asked for, or as the budget allows."""
        budget = self.budget.total(f"{key}.budget")
        if self.largest is None:
            if budget is None:
                raise ConfigError(f"{key}: neither largest nor a budget is set; set one of them")
            # Below a size there must be enough different ones.
            top = largest_within([r for r in sizes if _is_possible(cost, r)] or sizes, cost, budget)
        else:
            top = nearest(sizes, self.largest)
        total = cost(top)
        if budget is not None and total > budget:
            raise ConfigError(
                f"{key}: {self.count} sizes up to N = {top.n:,} cost {total:.3g} "
                f"FLOPs and the budget is {budget:.3g}; allowed is to raise it, or fewer "
                "sizes, ratios or seeds"
            )
        return top


def _is_possible(cost: Callable[[Rung], float], rung: Rung) -> bool:
    """Whether there are enough different shapes below a size."""
    try:
        return cost(rung) > 0
    except ConfigError:
        return False
