"""Weights that go while they are trained: does the average number of them tell the loss?

Jin et al., arXiv 2501.12486: a network that is pruned during training ends at the loss of a dense
one with the average of its numbers of parameters over the training. Here AdamW prunes: from one
step to another a growing share of each hidden matrix, the smallest weights, becomes zero for good
(Zhu & Gupta, arXiv 1710.01878). The measurement counts what is left, and the verdict holds the
pruned runs beside dense ones of equal size by each count: at the beginning, on average, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scalinglab import analysis, register
from scalinglab.analysis.intervals.pairs import paired
from scalinglab.analysis.intervals.power import PLANNED_NOISE, Design
from scalinglab.analysis.reporting.verdict import Finding
from scalinglab.analysis.tables.trials import at_best_lr
from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import AT_LEAST_0, Within, setting
from scalinglab.scaling.model.counts import count_role
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.measurements import Measurement

# ---------------------------------------------------------------------- training


@register.optimizer("pruned_adamw")
@dataclass(frozen=True, kw_only=True)
class PrunedAdamWConfig(AdamWConfig):
    """AdamW, a growing share of the hidden matrices zero.

    Attributes
    ----------
    sparsity : float
        Share of each hidden matrix that is zero in the end.
    first, last : int
        Steps between which it grows, as 1 - (1 - t)^3.
    """

    whole: ClassVar[tuple[str, ...]] = ("hidden",)  # the smallest of a whole matrix
    update_floats: ClassVar[float] = AdamWConfig.update_floats + 1

    name: str = "pruned_adamw"
    sparsity: float = setting(0.8, Within(0, 1, below=True))
    first: int = setting(0, AT_LEAST_0)
    last: int = setting(100, AT_LEAST_0)


def share_pruned(step: Any, sparsity: Any, first: Any, last: Any) -> Any:
    """The share that is zero after a step; numbers, arrays or tensors."""
    t = (step - first) / (last - first)
    t = t.clamp(0, 1) if isinstance(t, Tensor) else np.clip(t, 0, 1)
    return sparsity * (1 - (1 - t) ** 3)


_AdamW: Any = UPDATES["adamw"]


@register.update("pruned_adamw")
class PrunedAdamW(_AdamW):
    """What is zero before a step is zero after it: the weights themselves say what is pruned."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.schedule = [self.column(key) for key in ("sparsity", "first", "last")]
        if (self.schedule[1] >= self.schedule[2]).any():
            raise UserError("optimizer.first: allowed is less than optimizer.last")
        self.pruned = [
            name
            for name, size in self.sizes.items()
            if self.rules[name].role == "hidden" and len(size) > 1
        ]

    def update(self, weights: Tensor, gradient: Tensor, lr: Tensor, count: Any) -> None:
        """See ``Optimizer.update``."""
        matrices = split(weights, self.sizes)
        gone = {name: matrices[name] == 0 for name in self.pruned}
        super().update(weights, gradient, lr, count)
        share = share_pruned(count, *self.schedule)  # (members, 1)
        for name in self.pruned:
            matrix = matrices[name].masked_fill_(gone[name], 0)
            size = matrix.flatten(1).abs()
            number = (share * size.shape[1]).long()
            ordered = torch.cat([torch.full_like(size[:, :1], -1), size.sort(1).values], 1)
            smallest = size <= ordered.gather(1, number)
            matrix.masked_fill_(smallest.view_as(matrix), 0)


register.measurement("weights_left")(Measurement(("weights_left",)))


@register.measured_by("weights_left")
def weights_left(subject: Any) -> dict[str, Tensor]:
    """Matrix weights that are not zero, the embedding apart: what is left of n_matmul."""
    left = [
        (weight != 0).flatten(1).sum(1)
        for name, weight in subject.weights.items()
        if count_role(name) in ("attention", "mlp", "unembedding")
    ]
    return {"weights_left": torch.stack(left).sum(0).double()}


# ---------------------------------------------------------------------- what the runs say


def with_average(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with ``N_first``, ``N_mean`` and ``N_last``, of the matrices and the unembedding.

    Parameters
    ----------
    runs : DataFrame
        ``n_matmul, n_block, D, steps`` and, where pruned, the keys of the optimizer.
    """
    stages = []
    for run, row in runs.iterrows():
        keys = [row.get(f"optimizer.{key}", np.nan) for key in ("sparsity", "first", "last")]
        steps = int(row["steps"])
        zero = np.zeros(steps)
        if row["optimizer.name"] == "pruned_adamw":  # in step i there is what i - 1 left
            zero = share_pruned(np.arange(steps), *map(float, keys)) * row["n_block"]
        tokens = row["D"] / steps
        stages.append(pd.DataFrame({"run": run, "N": row["n_matmul"] - zero, "tokens": tokens}))
    table = pd.concat(stages)
    by_run = table.groupby("run", sort=False)["N"]
    ends = {"N_first": by_run.first(), "N_last": by_run.last()}
    return runs.assign(N_mean=analysis.average_parameters(table)["N_mean"], **ends)


@register.verdict("pruning")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "optimizer.name",
    design: Design | None = None,
    delta: float | str | None = None,
) -> Finding:
    """Hold pruned runs beside dense ones by each count, and fit the law of the average to all."""
    runs = with_average(runs)
    best = at_best_lr(runs, [arm, "n_matmul", "D"])
    best = best.assign(log=np.log(best["loss"]), pruned=best[arm] == "pruned_adamw")
    noise = PLANNED_NOISE if design is None else design.noise
    sentences, rows = [], []
    for count, words in (
        ("N_mean", "the average"),
        ("N_first", "the number at the beginning"),
        ("N_last", "the number at the end"),
    ):
        differences = _differences(best, count)
        if not differences.size:
            continue
        pair = paired(differences, noise)
        sentences.append(
            f"By {words} pruned runs have the loss of dense ones up to {pair.told()}: "
            f"{pair.verdict} (the least that is detected: {pair.least:.2%})."
        )
        lower, upper = pair.relative[1:]
        rows.append({"count": count, "effect": pair.relative[0], "lower": lower, "upper": upper})
    means = best.groupby(["pruned", "n_matmul", "D"], as_index=False)[
        ["N_first", "N_mean", "N_last", "lr", "loss"]
    ].mean()
    result = analysis.fit("avg_params", means, resamples=200, seed=0, delta=delta)
    off = np.log(means["loss"] / result.predict(means)["loss"])
    pruned = means["pruned"].astype(bool)
    sentences.append(
        "The law avg_params, fitted to all, misses dense runs by "
        f"{np.abs(off[~pruned]).mean():.2%} and pruned ones by {np.abs(off[pruned]).mean():.2%} of the loss on average."
    )
    tables = {"By each count": pd.DataFrame(rows), "Runs": means.assign(off_the_law=off)}
    tables["The law avg_params"] = result.summary.reset_index()
    return Finding(sentences, tables, warnings=list(result.warnings))


def _differences(best: pd.DataFrame, count: str) -> np.ndarray:
    """Log losses of pruned runs less those of dense ones of that count, (sizes, seeds)."""
    rows = []
    for _, cell in best.groupby("D"):
        dense = cell[~cell["pruned"]].pivot_table("log", "n_matmul", "seed")
        x = np.log(dense.index.to_numpy(dtype=float))
        pruned = cell[cell["pruned"]]
        for _, of_size in pruned.groupby("n_matmul"):
            at = np.log(of_size[count].iloc[0])
            if x[0] <= at <= x[-1]:
                seeds = of_size.set_index("seed")["log"]
                rows.append([y - np.interp(at, x, dense[seed]) for seed, y in seeds.items()])
    return np.array(rows)
