"""Coverage of 95 % intervals, and false alarms of warnings, on synthetic studies.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py [--replicates 500] [--only WORD]

Each case repeats one study with fresh noise and fits it with the defaults. Printed per case: the
share of intervals that contain the truth, and the share of fits with each warning.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab import analysis

LEVEL, RESAMPLES = 0.95, 199
NOISE = 0.005  # of log loss

# The fit of arXiv:2404.10102, rounded.
CHINCHILLA = dict(E=1.82, A=480.0, alpha=0.348, B=2090.0, beta=0.366)

Array = np.ndarray
Truth = Callable[[Array, Array], Array]
Noise = Callable[[pd.DataFrame, np.random.Generator], Array]


# ---- designs: a frame with N, D and the trunk of each run


def ladder(sizes: int = 7, ratios: int = 5, largest: float = 3e9) -> pd.DataFrame:
    """Sizes over two decades, D/N from 5 to 320."""
    size = np.geomspace(largest / 100, largest, sizes)
    N, ratio = np.meshgrid(size, np.geomspace(5, 320, ratios))
    return _frame(N.ravel(), (N * ratio).ravel())


def isoflop() -> pd.DataFrame:
    """As in Hoffmann et al.: 16 sizes along nine budgets, with D/N between 1 and 400."""
    N, C = np.meshgrid(np.geomspace(4.4e7, 1e10, 16), np.geomspace(6e18, 3e21, 9))
    N, D = N.ravel(), (C / (6 * N)).ravel()
    return _frame(N, D)[(D / N > 1) & (D / N < 400)].reset_index(drop=True)


def _frame(N: Array, D: Array) -> pd.DataFrame:
    return pd.DataFrame({"N": N, "D": D, "trunk": np.unique(N, return_inverse=True)[1]})


# ---- truths


def chinchilla(N: Array, D: Array) -> Array:
    p = CHINCHILLA
    return p["E"] + p["A"] / N ** p["alpha"] + p["B"] / D ** p["beta"]


def farseer(N: Array, D: Array) -> Array:
    """A data exponent that depends on N, with the constants of arXiv:2506.10972."""
    by_D = np.exp(88.01 * N**-0.1 - 5.287) * D ** -np.exp(-0.124 * N**0.123 + 0.424)
    return np.exp(-0.021 * N**0.169 + 0.091) + by_D


def no_floor(N: Array, D: Array) -> Array:
    return 48 / N**0.15 + 60 / D**0.15


def broken(change: float, turn: float = 1e9) -> Truth:
    """Exponents that change by `change` around size `turn` (arXiv:2210.14891)."""

    def value(N: Array, D: Array) -> Array:
        by_N = 480 * N**-0.348 * (1 + (N / turn) ** 2) ** (-change / 2)
        by_D = 2090 * D**-0.366 * (1 + (D / (20 * turn)) ** 2) ** (-change / 2)
        return 1.82 + by_N + by_D

    return value


# ---- noise of log loss, all of about the same standard deviation


def clean(runs: pd.DataFrame, rng: np.random.Generator) -> Array:
    return NOISE * rng.standard_normal(len(runs))


def heavy(runs: pd.DataFrame, rng: np.random.Generator) -> Array:
    return NOISE / np.sqrt(3) * rng.standard_t(3, len(runs))


def heteroscedastic(runs: pd.DataFrame, rng: np.random.Generator) -> Array:
    """Noise four times larger at the smallest run than at the largest."""
    budget = np.log(runs.N * runs.D).to_numpy()
    height = (budget - budget.min()) / np.ptp(budget)
    return NOISE * 2 ** (1 - 2 * height) * rng.standard_normal(len(runs))


def clustered(runs: pd.DataFrame, rng: np.random.Generator) -> Array:
    """Branches share the noise of their trunk and have a little noise of their own."""
    luck = rng.standard_normal(runs.trunk.max() + 1)[runs.trunk]
    return NOISE * (0.9 * luck + 0.44 * rng.standard_normal(len(runs)))


KINDS = {f.__name__: f for f in (clean, heavy, heteroscedastic, clustered)}


@dataclass
class Tally:
    """Results of the replicates of one case."""

    inside: Counter
    asked: Counter
    warned: Counter
    score: float = 0.0
    replicates: int = 0

    def share(self, what: str) -> float:
        return self.inside[what] / max(self.asked[what], 1)


def well_specified(design: pd.DataFrame, noise: Noise, replicates: int) -> Tally:
    """Coverage under the true law: parameters, new measurements inside and far beyond the range."""
    tally = Tally(Counter(), Counter(), Counter())
    for seed in range(replicates):
        rng = np.random.default_rng([seed, 1])
        result, runs = study(design, chinchilla, noise, rng, seed)
        for name, value in CHINCHILLA.items():
            low, high = result.interval(name, LEVEL)
            tally.asked[name] += 1
            tally.inside[name] += low <= value <= high
        for where, factor in (("inside", 1.0), ("beyond", 10**0.5)):
            ahead = runs.sample(8, random_state=seed).reset_index(drop=True)
            if factor > 1:
                ahead = runs.nlargest(8, "D").reset_index(drop=True)
                ahead[["N", "D"]] *= factor
            contained, _ = predicted(result, ahead, chinchilla, noise, rng)
            tally.asked[where] += len(ahead)
            tally.inside[where] += int(contained.sum())
        tally.warned.update({kind(w) for w in result.warnings})
        tally.replicates += 1
    return tally


def misspecified(design: pd.DataFrame, truth: Truth, replicates: int) -> Tally:
    """The true law is another one; the top decade of compute is held out."""
    tally = Tally(Counter(), Counter(), Counter())
    C = design.N * design.D
    top = C > C.max() / 10
    for seed in range(replicates):
        rng = np.random.default_rng([seed, 2])
        result, _ = study(design[~top], truth, clean, rng, seed)
        contained, score = predicted(result, design[top], truth, clean, rng)
        tally.asked["left out"] += len(contained)
        tally.inside["left out"] += int(contained.sum())
        tally.score += float(score.mean())
        tally.warned.update({kind(w) for w in result.warnings})
        tally.replicates += 1
    return tally


def study(
    design: pd.DataFrame,
    truth: Truth,
    noise: Noise,
    rng: np.random.Generator,
    seed: int,
) -> tuple[analysis.Result, pd.DataFrame]:
    """One replicate: points with new noise, fitted with the defaults."""
    loss = truth(design.N.to_numpy(), design.D.to_numpy()) * np.exp(noise(design, rng))
    runs = design.assign(loss=loss)
    cluster = "trunk" if noise is clustered else None
    return analysis.fit("chinchilla", runs, resamples=RESAMPLES, seed=seed, cluster=cluster), runs


def predicted(
    result: analysis.Result,
    ahead: pd.DataFrame,
    truth: Truth,
    noise: Noise,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Whether new measurements are inside their intervals; the interval score in log loss.

    Score: width + 2 / (1 - level) times the miss, Gneiting and Raftery 2007, section 6.2.
    """
    measured = np.log(truth(ahead.N.to_numpy(), ahead.D.to_numpy())) + noise(ahead, rng)
    interval = result.predict(ahead, LEVEL)
    low, high = np.log(interval.lower.to_numpy()), np.log(interval.upper.to_numpy())
    miss = np.maximum(low - measured, 0) + np.maximum(measured - high, 0)
    return miss == 0, high - low + 2 / (1 - LEVEL) * miss


def kind(warning: str) -> str:
    """The kind of a warning, by its sentence."""
    for word, name in {
        "is not identified": "not identified",
        "starts found": "lonely best",
        "may not have converged": "not converged",
        "are unreliable": "few groups",
        "beyond the fitted range": "one-sided top",
    }.items():
        if word in warning:
            return name
    return warning[:30]


# ---- parameters that are not identified


def far_from_the_floor() -> pd.DataFrame:
    """A small ladder of one decade, which a power law without floor explains."""
    N, ratio = np.meshgrid(np.geomspace(1e5, 1.5e6, 5), np.geomspace(10, 40, 3))
    return _frame(N.ravel(), (N * ratio).ravel())


def one_ratio() -> pd.DataFrame:
    N = np.geomspace(3e7, 3e9, 24)
    return _frame(N, 20 * N)


def unidentified(design: pd.DataFrame, truth: Truth, names: set[str], replicates: int) -> Tally:
    """Whether one of the names is called unidentified; if not, whether the interval contains E."""
    tally = Tally(Counter(), Counter(), Counter())
    E = 0.0 if truth is no_floor else CHINCHILLA["E"]
    for seed in range(replicates):
        result, _ = study(design, truth, clean, np.random.default_rng([seed, 3]), seed)
        called = bool(names & set(result.diagnosis.unidentified))
        tally.asked["named"] += 1
        tally.inside["named"] += called
        if not called:
            low, high = result.interval("E", LEVEL)
            tally.asked["E of the others"] += 1
            tally.inside["E of the others"] += low <= E <= high
    return tally


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    for name, case in cases(asked.replicates).items():
        if asked.only in name:
            began = time.perf_counter()
            figures = case()
            print(f"{name:<34} {figures}  [{time.perf_counter() - began:.0f} s]", flush=True)


def cases(replicates: int) -> dict[str, Callable[[], str]]:
    found: dict[str, Callable[[], str]] = {}
    for name, design in {"ladder 7x5": ladder(), "isoflop 16x9": isoflop()}.items():
        for noise in KINDS.values():
            found[f"{name}, {noise.__name__}"] = lambda d=design, n=noise: _covered(
                well_specified(d, n, replicates)
            )
    truths = {
        "chinchilla": chinchilla,
        "farseer": farseer,
        "exponents -.1": broken(-0.1),
        "exponents +.1": broken(0.1),
    }
    for name, design in {"ladder 7x5": ladder(largest=1e10), "isoflop 16x9": isoflop()}.items():
        for of, truth in truths.items():
            found[f"{name}, top decade of {of}"] = lambda d=design, t=truth: _scored(
                misspecified(d, t, replicates)
            )
    for name, (design, truth, names) in {
        "a power law without a floor": (ladder(), no_floor, {"E"}),
        "E far from the floor": (far_from_the_floor(), chinchilla, {"E"}),
        "one D/N ratio": (one_ratio(), chinchilla, {"A", "alpha", "B", "beta"}),
    }.items():
        found[name] = lambda d=design, t=truth, n=names: (
            f"{' or '.join(sorted(n))} unidentified: {_shares(unidentified(d, t, n, replicates))}"
        )
    return found


def _covered(tally: Tally) -> str:
    return f"{_shares(tally)} | {_warned(tally)}"


def _shares(tally: Tally) -> str:
    return "  ".join(f"{name} {tally.share(name):.1%}" for name in tally.asked)


def _scored(tally: Tally) -> str:
    return (
        f"{tally.share('left out'):.1%} contained, interval score"
        f" {tally.score / tally.replicates:.2%} of the loss | {_warned(tally)}"
    )


def _warned(tally: Tally) -> str:
    rates = (f"{name} {count / tally.replicates:.1%}" for name, count in tally.warned.items())
    return ", ".join(rates) or "no warnings"


if __name__ == "__main__":
    main()
