"""Is the judge of two recipes right, however often it looks, and at what cost?

    OMP_NUM_THREADS=1 python benchmarks/judge.py [development | test] [--replicates 100] [--judge NAME]

Pairs of runs are made: a baseline whose loss falls with compute C, and a candidate that has the
loss of the baseline at m(C) times the compute. Each pair shares a seed; the question is m at a
target that is larger than every size measured. The truths:

- null: m = 1 everywhere. A verdict "transfers" or "reverses" at any look is false.
- constant: m = 1.15 everywhere. Right: "transfers".
- fading: m falls from 1.15 at the smallest size to 1 at the target, a line in logarithms. Right:
  "fades".
- reversing: m falls from 1.15 to 1 / 1.15. Right: "reverses".

The judge looks after every addition of pairs. On nulls it goes on to the end of the budget; else
it stops at its first verdict, and to have none within the budget counts as a miss.

The budget is the cost of a fixed grid: the same number of seeds at every size, as many as a planner
who knows the noise takes to bring the 95 % interval of log m at the target, from seeds alone and
looked at once, to +-2 % (the margin of the verdicts). ``--seeds 8`` takes 8 seeds instead.

Beside the noise of seeds: the finite evaluation text and departures of m from the line (one draw a
size, which no seed averages away), noise that changes with size, and baselines that are no power
law. Scenarios of the part "development" may be looked at while the judge is made; those of the part
"test" have other laws, noise, correlations and seeds, and are only scored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from scipy.stats import beta

from scalinglab.analysis.transfer.decision import decide, narrowing
from scalinglab.analysis.transfer.multiplier_line import MultiplierLine, Uncertainty
from scalinglab.analysis.transfer.size_means import SizeMeans

Array = np.ndarray
MARGIN = np.log(1.02)
GAIN = np.log(1.15)
SMALLEST = 1e18  # FLOPs
TRUTHS = {"null": (0.0, 0.0), "constant": (1, 1), "fading": (1, 0), "reversing": (1, -1)}
RIGHT = {"constant": "transfers", "fading": "fades", "reversing": "reverses"}
FALSE = ("transfers", "reverses")
UNKNOWN = "cannot tell"


# ---- worlds


@dataclass(frozen=True)
class BaseLaw:
    """loss = E + A c^-(alpha + bend log10 c), c = C over that of the smallest size."""

    E: float
    A: float
    alpha: float
    bend: float = 0.0

    def loss(self, C: Array) -> Array:
        c = C / SMALLEST
        return self.E + self.A * c ** -(self.alpha + self.bend * np.log10(c))

    def slope(self, C: Array) -> Array:
        """-d log loss / d log C."""
        step = 1e-4
        return np.log(self.loss(C * np.exp(-step)) / self.loss(C * np.exp(step))) / (2 * step)


@dataclass(frozen=True)
class Scenario:
    """What is measured, and how well.

    Attributes
    ----------
    sizes, span : int, float
        Their number, and log10 of the largest over the smallest compute.
    reach : float
        Target over the largest compute.
    noise, correlation, growth : float
        Standard deviation of the log loss over seeds at the smallest size, the correlation of the
        two runs of a pair, and the power of C with which the noise grows.
    text, bumps : float
        Standard deviations, one draw a size: of the log ratio of the losses, from the evaluation
        text; of log m about the line.
    """

    law: BaseLaw
    sizes: int
    span: float
    reach: float
    noise: float
    correlation: float
    growth: float
    text: float
    bumps: float

    @property
    def C(self) -> Array:
        return SMALLEST * np.geomspace(1, 10**self.span, self.sizes)

    @property
    def x(self) -> Array:
        """log(C / C_target)."""
        return np.log(self.C / (self.C[-1] * self.reach))

    @property
    def seed_noise(self) -> Array:
        return self.noise * (self.C / SMALLEST) ** self.growth

    def grid_seeds(self) -> int:
        """Seeds per size of the fixed grid."""
        spread = np.sqrt(2 * (1 - self.correlation)) * self.seed_noise / self.law.slope(self.C)
        error = 1.96 * np.sqrt(np.sum((weights_at(self.x, 0.0) * spread) ** 2))
        return max(2, int(np.ceil((error / MARGIN) ** 2)))


@dataclass
class World:
    """Pairs of one study, made when asked for."""

    scenario: Scenario
    truth: str
    rng: np.random.Generator
    baseline: list[Array] = field(default_factory=list)  # log losses of each size
    candidate: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        s = self.scenario
        way = 1 - s.x / s.x[0]  # 0 at the smallest size, 1 at the target
        small, target = TRUTHS[self.truth]
        log_m = GAIN * (small + (target - small) * way) + s.bumps * self.rng.normal(size=s.sizes)
        text = s.text * self.rng.normal(size=s.sizes)
        self._means = np.log([s.law.loss(s.C), s.law.loss(s.C * np.exp(log_m)) * np.exp(text)])
        self.baseline = [np.empty(0)] * s.sizes
        self.candidate = [np.empty(0)] * s.sizes

    def add(self, size: int, count: int) -> None:
        s = self.scenario
        both, one, other = self.rng.normal(size=(3, count)) * s.seed_noise[size]
        shared, own = np.sqrt(s.correlation), np.sqrt(1 - s.correlation)
        for arm, mean, noise in (
            (self.baseline, self._means[0, size], one),
            (self.candidate, self._means[1, size], other),
        ):
            arm[size] = np.append(arm[size], mean + shared * both + own * noise)

    @property
    def counts(self) -> Array:
        return np.array([len(found) for found in self.baseline])

    @property
    def cost(self) -> float:
        """In pairs of the smallest size."""
        return float(np.sum(self.counts * self.scenario.C) / SMALLEST)


def weights_at(x: Array, at: float) -> Array:
    """Weights of the values at x in the straight line's value at a place."""
    centred = x - x.mean()
    return 1 / len(x) + (at - x.mean()) * centred / (centred @ centred)


# ---- judges: the verdict on what is there, and the size of the pair to add


Judge = Callable[[World], tuple[str, int]]


def classical(world: World) -> tuple[str, int]:
    """A 95 % t interval at every look as if it were the only one, told the slopes of the law."""
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
    return verdict, int(np.argmin(world.counts))  # a seed more at every size in turn


def anytime(world: World) -> tuple[str, int]:
    """`analysis.judge`, from pairs on; it takes the next pair where it narrows most per FLOP."""
    s = world.scenario
    size = np.repeat(np.arange(s.sizes), world.counts)
    base, other = (np.exp(np.concatenate(arm)) for arm in (world.baseline, world.candidate))
    sizes = SizeMeans.of_pairs(size, s.C[size], base, other)
    line = MultiplierLine.of(sizes, s.C[-1] * s.reach, Uncertainty(text=s.text))
    found = decide(line, MARGIN)
    return str(found.verdict), int(np.argmax(narrowing(line, found.target)))


JUDGES: dict[str, Judge] = {"anytime": anytime, "classical": classical}


# ---- the protocol


@dataclass(frozen=True)
class Course:
    """One study from its first look to its last: all verdicts, and the cost of the first."""

    verdicts: tuple[str, ...]
    cost: float

    @property
    def first(self) -> str:
        return next((v for v in self.verdicts if v != UNKNOWN), UNKNOWN)


def course(judge: Judge, world: World, budget: float, *, to_the_end: bool) -> Course:
    """Look, add pairs where the judge wants them, and look again, within a budget."""
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


def scenarios(part: str) -> list[Scenario]:
    """The scenarios of a part: combinations of all that varies, chosen at random once."""
    if part == "development":
        rng, count = np.random.default_rng(1), 18
        values = {
            "law": [
                BaseLaw(1.8, 1.2, 0.16),
                BaseLaw(0.0, 3.0, 0.05),
                BaseLaw(1.7, 1.0, 0.15, 0.01),
            ],
            "sizes": [3, 5],
            "span": [1.5, 2.5],
            "reach": [3.0, 10.0],
            "noise": [0.001, 0.003, 0.01],
            "correlation": [0.0, 0.5, 0.9],
            "growth": [0.0, -0.1],
            "text": [0.0, 0.0002],
            "bumps": [0.0, 0.005],
        }
    else:
        rng, count = np.random.default_rng(2), 36
        values = {
            "law": [
                BaseLaw(1.5, 1.5, 0.13),
                BaseLaw(0.9, 0.8, 0.2),
                BaseLaw(0.0, 3.5, 0.06),
                BaseLaw(1.9, 1.1, 0.18, -0.01),
                BaseLaw(1.6, 1.0, 0.14, 0.012),
            ],
            "sizes": [3, 4, 5],
            "span": [1.5, 2.0, 3.0],
            "reach": [5.0, 10.0, 30.0],
            "noise": [0.001, 0.0015, 0.005, 0.008, 0.01],
            "correlation": [0.0, 0.2, 0.7, 0.9],
            "growth": [0.05, 0.0, -0.08],
            "text": [0.0, 0.0001, 0.0003],
            "bumps": [0.0, 0.003, 0.006],
        }
    # Each value of each factor comes equally often, in an order of its own.
    columns = {
        name: rng.permutation([i % len(options) for i in range(count)])
        for name, options in values.items()
    }
    return [
        Scenario(**{name: values[name][columns[name][k]] for name in values}) for k in range(count)
    ]


def score(
    judge: Judge,
    scenario: Scenario,
    replicates: int,
    seeds: int | None,
    key: Sequence[int],
) -> dict[str, float]:
    """Shares of one scenario, over replicates; four times as many of the null."""
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
    """A row a scenario, and what holds over all."""
    shown = table.copy()
    shown["false"] = (table["false"] / table["nulls"]).map("{:.1%}".format)
    for truth in RIGHT:
        for name in (truth, f"{truth} wrong", f"{truth} cost"):
            shown[name] = table[name].map("{:.0%}".format)
    print(shown.drop(columns="nulls").to_string())
    print(
        f"\nfalse transfers or reverses on nulls: {binomial(table['false'].sum(), table['nulls'].sum())}"
    )
    worst = (table["false"] / table["nulls"]).idxmax()
    print(
        f"  in the worst scenario ({worst}): {binomial(table['false'][worst], table['nulls'][worst])}"
    )
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
    parser.add_argument("--seeds", type=int, help="seeds a size of the fixed grid")
    parser.add_argument("--judge", choices=tuple(JUDGES), default=next(iter(JUDGES)))
    parser.add_argument("--only", type=int, nargs="*", help="numbers of scenarios")
    asked = parser.parse_args()
    started, rows = time.process_time(), {}
    for k, scenario in enumerate(scenarios(asked.part)):
        if asked.only and k not in asked.only:
            continue
        key = (("development", "test").index(asked.part), k)
        rows[k] = {
            "law": f"{scenario.law.E:g} {scenario.law.A:g} {scenario.law.alpha:g} {scenario.law.bend:g}",
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
