"""Error rates and cost of the sequential judge of two recipes.

    OMP_NUM_THREADS=1 python benchmarks/judge.py [development | test] [--replicates 100]
        [--judge NAME]

Pairs of runs are simulated: a baseline whose loss falls with compute C, and a candidate that has
the loss of the baseline at m(C) times the compute. Each pair shares a seed; the question is m at a
target above all measured sizes. The truths:

- null: m = 1 everywhere. A verdict "transfers" or "reverses" at any look is false.
- constant: m = 1.15 everywhere. Right: "transfers".
- fading: m falls from 1.15 at the smallest size to 1 at the target, a line in logarithms. Right:
  "fades".
- reversing: m falls from 1.15 to 1 / 1.15. Right: "reverses".

The judge looks after every addition of pairs. On nulls it goes on to the end of the budget; else
it stops at its first verdict, and to have none within the budget counts as a miss.

The budget is the cost of a fixed grid with equal numbers of seeds at all sizes: as many as a
planner who knows the noise needs for a 95 % interval of log m at the target, from seeds alone and
with one look, of +-2 % (the margin of the verdicts). ``--seeds 8`` takes 8 seeds instead.

Besides the noise of seeds there are the finite evaluation text and deviations of m from the line
(one draw per size, which seeds do not average out), noise that changes with size, and baselines
that are no power law. The judge may be developed on scenarios of the part "development"; those of
the part "test" have other laws, noise, correlations and seeds, and are only scored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from scipy.stats import beta
from simulated_pairs import (
    MARGIN,
    SMALLEST,
    TRUTHS,
    Array,
    Scenario,
    World,
    scenarios,
    weights_at,
)

from scalinglab.analysis.transfer.decision import decide, narrowing
from scalinglab.analysis.transfer.multiplier_line import MultiplierLine, Uncertainty
from scalinglab.analysis.transfer.size_means import SizeMeans

RIGHT = {"constant": "transfers", "fading": "fades", "reversing": "reverses"}
FALSE = ("transfers", "reverses")
UNKNOWN = "cannot tell"


# The verdict on the pairs so far, and the size of the next pair.
Judge = Callable[[World], tuple[str, int]]


def classical(world: World) -> tuple[str, int]:
    """A 95 % t interval at every look as if it were the only one, with known slopes of the law."""
    s = world.scenario
    ratio = [b - c for b, c in zip(world.baseline, world.candidate, strict=True)]
    y = np.array([r.mean() for r in ratio]) / s.law.slope(s.C)
    freedom = len(np.concatenate(ratio)) - s.sizes
    within = np.sqrt(sum(((r - r.mean()) ** 2).sum() for r in ratio) / freedom)
    errors = within / s.law.slope(s.C) / np.sqrt(world.counts)
    quantile = float(stdtrit(freedom, 0.975))

    def between(weights: Array) -> tuple[float, float, float]:
        value, half = weights @ y, quantile * np.sqrt(np.sum((weights * errors) ** 2))
        return value - half, value, value + half

    lower, value, upper = between(weights_at(s.x, 0.0))
    small = between(weights_at(s.x, s.x[0]))
    slope = between(weights_at(s.x, 1.0) - weights_at(s.x, 0.0))
    verdict = UNKNOWN
    if lower > MARGIN:
        verdict = "transfers"
    elif upper < -MARGIN:
        verdict = "reverses"
    elif (
        slope[2] < 0
        and abs(value) <= MARGIN
        and small[0] > MARGIN
        and -small[1] < lower
        and upper < small[1]
    ):
        verdict = "fades"
    return verdict, int(np.argmin(world.counts))  # one more seed at each size in turn


def anytime(world: World) -> tuple[str, int]:
    """`analysis.judge` on pairs; the next pair is where the interval narrows most per FLOP."""
    s = world.scenario
    size = np.repeat(np.arange(s.sizes), world.counts)
    base, other = (np.exp(np.concatenate(arm)) for arm in (world.baseline, world.candidate))
    sizes = SizeMeans.of_pairs(size, s.C[size], base, other)
    line = MultiplierLine.of(sizes, s.C[-1] * s.reach, Uncertainty(text=s.text))
    found = decide(line, MARGIN)
    return str(found.verdict), int(np.argmax(narrowing(line, found.target)))


JUDGES: dict[str, Judge] = {"anytime": anytime, "classical": classical}


@dataclass(frozen=True)
class Course:
    """One study from its first look to its last: all verdicts, and the cost of the first."""

    verdicts: tuple[str, ...]
    cost: float

    @property
    def first(self) -> str:
        return next((v for v in self.verdicts if v != UNKNOWN), UNKNOWN)


def course(judge: Judge, world: World, budget: float, *, to_the_end: bool) -> Course:
    """Alternate verdicts and new pairs at the size that the judge chooses, within a budget."""
    for size in range(world.scenario.sizes):
        world.add(size, 2)
    verdicts, decided = [], np.nan
    while True:
        verdict, size = judge(world)
        verdicts.append(verdict)
        if verdict != UNKNOWN and np.isnan(decided):
            decided = world.cost
        if verdict != UNKNOWN and not to_the_end:
            break
        count = max(1, int(world.counts[size]) // 10)  # looks after every pair, then every tenth
        if world.cost + count * world.scenario.C[size] / SMALLEST > budget * (1 + 1e-9):
            break
        world.add(size, count)
    return Course(tuple(verdicts), decided)


def score(
    judge: Judge,
    scenario: Scenario,
    replicates: int,
    seeds: int | None,
    key: Sequence[int],
) -> dict[str, float]:
    """Shares of verdicts in one scenario, over replicates; the null has four times as many."""
    grid = seeds or scenario.grid_seeds()
    budget = grid * float(np.sum(scenario.C)) / SMALLEST
    row: dict[str, float] = {"seeds": grid}
    for k, truth in enumerate(TRUTHS):
        null = truth not in RIGHT
        many = replicates * (4 if null else 1)
        found = [
            course(
                judge,
                World(scenario, truth, np.random.default_rng([*key, k, replicate])),
                budget,
                to_the_end=null,
            )
            for replicate in range(many)
        ]
        if null:
            row["false"] = sum(any(v in FALSE for v in c.verdicts) for c in found)
            row["nulls"] = many
            row["looks"] = float(np.median([len(c.verdicts) for c in found]))
        else:
            row[truth] = np.mean([c.first == RIGHT[truth] for c in found])
            row[f"{truth} wrong"] = np.mean([c.first not in (RIGHT[truth], UNKNOWN) for c in found])
            spent = [c.cost / budget for c in found if c.first == RIGHT[truth]]
            row[f"{truth} cost"] = float(np.median(spent)) if spent else np.nan
    return row


def binomial(count: float, of: float) -> str:
    """A share with its exact 95 % interval."""
    lower = beta.ppf(0.025, count, of - count + 1) if count else 0.0
    upper = beta.ppf(0.975, count + 1, of - count) if count < of else 1.0
    return f"{count / of:.1%} ({lower:.1%} to {upper:.1%})"


def show(table: pd.DataFrame, replicates: int) -> None:
    """Print a row per scenario, and the shares over all."""
    shown = table.copy()
    shown["false"] = (table["false"] / table["nulls"]).map("{:.1%}".format)
    for truth in RIGHT:
        for name in (truth, f"{truth} wrong", f"{truth} cost"):
            shown[name] = table[name].map("{:.0%}".format)
    print(shown.drop(columns="nulls").to_string())
    false, nulls = table["false"], table["nulls"]
    print(f"\nfalse transfers or reverses on nulls: {binomial(false.sum(), nulls.sum())}")
    worst = (false / nulls).idxmax()
    print(f"  in the worst scenario ({worst}): {binomial(false[worst], nulls[worst])}")
    for truth, right in RIGHT.items():
        total = table[truth].sum() * replicates
        print(
            f"{truth}: {right} in {binomial(round(total), replicates * len(table))},"
            f" at least 80 % in {int((table[truth] >= 0.8).sum())} of {len(table)} scenarios,"
            f" another verdict in {table[f'{truth} wrong'].mean():.1%},"
            f" at a median of {table[f'{truth} cost'].median():.0%} of the grid's cost"
        )


def main() -> None:
    """Print the table of a part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", nargs="?", choices=("development", "test"), default="test")
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--seeds", type=int, help="seeds per size of the fixed grid")
    parser.add_argument("--judge", choices=tuple(JUDGES), default=next(iter(JUDGES)))
    parser.add_argument("--only", type=int, nargs="*", help="numbers of scenarios")
    asked = parser.parse_args()
    started, rows = time.process_time(), {}
    for k, scenario in enumerate(scenarios(asked.part)):
        if asked.only and k not in asked.only:
            continue
        key = (("development", "test").index(asked.part), k)
        law = scenario.law
        rows[k] = {
            "law": f"{law.E:g} {law.A:g} {law.alpha:g} {law.bend:g}",
            "sizes": scenario.sizes,
            "span": scenario.span,
            "reach": scenario.reach,
            "noise": scenario.noise,
            "corr": scenario.correlation,
            "growth": scenario.growth,
            "text": scenario.text,
            "bumps": scenario.bumps,
        } | score(JUDGES[asked.judge], scenario, asked.replicates, asked.seeds, key)
    pd.set_option("display.width", 250)
    show(pd.DataFrame(rows).T.infer_objects(), asked.replicates)
    print(f"{time.process_time() - started:.0f} s of the processor")


if __name__ == "__main__":
    main()
