"""IsoFLOP curves: at each budget, sizes around the best (arXiv 2203.15556, approach 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, Within, setting
from scalinglab.sweeps.study.generator import GENERATORS, BudgetedDesign
from scalinglab.sweeps.study.rungs import SEVERAL, Rung, spread


@GENERATORS.register("isoflop")
@dataclass(frozen=True, kw_only=True)
class IsoFlop(BudgetedDesign):
    """For each budget, sizes around the one of a ratio D/N, all of the same FLOPs.

    Attributes
    ----------
    budgets : list of float
        FLOPs of a run.
    count : int
        Number of sizes at each budget.
    span : float
        The largest N over the smallest at one budget.
    ratio : float
        D/N of the size in the middle.
    """

    budgets: list[float] = setting([], ABOVE_0)
    count: int = setting(7, SEVERAL)
    span: float = setting(10.0, Within(1, above=True))
    ratio: float = setting(20.0, ABOVE_0)

    def groups(self, sizes: Sequence[Rung], key: str) -> list[list[dict[str, int]]]:
        """D follows from the budget and the size, exactly but for whole steps."""
        if not self.budgets:
            raise ConfigError(f"{key}.budgets is empty: allowed are FLOPs of a run, above 0")
        total = self.budget.total(f"{key}.budget")
        cost = sum(self.budgets) * self.count * self.seeds
        if total is not None and cost > total:
            raise ConfigError(
                f"{key}: {self.count} sizes at each of {len(self.budgets)} budgets "
                f"cost {cost:.3g} FLOPs and the budget is {total:.3g}; allowed is to "
                "raise it, or fewer sizes, budgets or seeds"
            )
        groups = []
        for flops in sorted(self.budgets):
            middle = min(sizes, key=lambda r: abs(np.log(r.flops * r.n * self.ratio / flops)))
            reach = np.sqrt(self.span)
            chosen = spread(sizes, middle.n / reach, middle.n * reach, self.count, key)
            groups.append(
                [rung.at(flops / rung.flops, seed) for rung in chosen for seed in range(self.seeds)]
            )
        return groups
