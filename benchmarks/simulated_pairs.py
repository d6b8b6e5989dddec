"""Simulated studies of two recipes, for ``judge.py``: pairs of runs with a known multiplier."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
MARGIN = np.log(1.02)  # of the verdicts, as a log multiplier
GAIN = np.log(1.15)
SMALLEST = 1e18  # FLOPs
# log m over `GAIN` at the smallest size and at the target.
TRUTHS = {"null": (0.0, 0.0), "constant": (1, 1), "fading": (1, 0), "reversing": (1, -1)}


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
    """The measured sizes, and the noise.

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
    """A simulated study, whose pairs are drawn when requested."""

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


def scenarios(part: str) -> list[Scenario]:
    """The scenarios of a part: combinations of all factors, drawn once."""
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
    # Each value of a factor occurs equally often, in a random order per factor.
    columns = {
        name: rng.permutation([i % len(options) for i in range(count)])
        for name, options in values.items()
    }
    return [
        Scenario(**{name: values[name][columns[name][k]] for name in values}) for k in range(count)
    ]
