"""Recovery of the compute multiplier of a recipe, and coverage of its interval.

    OMP_NUM_THREADS=1 python benchmarks/multipliers.py [synthetic] [published] [--replicates 100]

The multiplier at C is the least compute on which the baseline reaches the loss that the candidate
reaches with C, over C. Synthetic pairs of recipes have a known one: each case is repeated with
fresh noise and compared with the defaults, 95 % intervals of 199 resamples, with separate floors
and with one floor for both recipes, at the largest compute measured in both, and 3 and 10 times
beyond. Printed:

- inside: the share of intervals, by their width a whole, that hold the truth (binomial interval of
  as many replicates at one C: the three of a replicate fail together);
- bias: median of the log multiplier found over the true one;
- verdicts: saves, costs, cannot tell (the two floors must agree). On equal recipes every "saves"
  or "costs" is false; on others "cannot tell" counts as a miss and the opposite as false.

Published pairs have no known multiplier. The largest budget of both recipes is left out, the
multiplier is predicted there, and the reference is the best value of the fit to all runs, each with
a floor of its own. False is a verdict opposite to that of the fit to all. Needs the published runs:
set SCALING_PUBLIC_DATA to their folder.

This protocol was committed before the multiplier existed; no setting was chosen on its figures.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.arms import compare_arms
from scalinglab.analysis.decisions.optimum import best_split, least_budget, loss_at

LEVEL, RESAMPLES = 0.95, 199
BEYOND = (1.0, 3.0, 10.0)
SHARED_NOISE, OWN_NOISE = 0.003, 0.001  # of log loss: shared by the runs of a seed, and of each run

Array = np.ndarray
Params = tuple[float, float, float, float, float]  # E, A, alpha, B, beta

# The fit of arXiv:2404.10102, rounded.
BASELINE: Params = (1.82, 480.0, 0.348, 2090.0, 0.366)


def worth(multiplier: float) -> Params:
    """The recipe that reaches with C the loss of the baseline with `multiplier` times C."""
    E, A, alpha, B, beta = BASELINE
    return E, A * multiplier ** (-alpha / 2), alpha, B * multiplier ** (-beta / 2), beta


def lower_floor() -> Params:
    """A floor .02 lower: its multiplier grows and becomes infinite."""
    return (BASELINE[0] - 0.02, *BASELINE[1:])


def fading() -> Params:
    """Better at small compute: smaller coefficients, but a floor .02 higher."""
    E, A, alpha, B, beta = worth(1.6)
    return E + 0.02, A, alpha, B, beta


CANDIDATES = {
    "equal": BASELINE,
    "1.15 at every C": worth(1.15),
    "1.5 at every C": worth(1.5),
    "1 / 1.15 at every C": worth(1 / 1.15),
    "fading": fading(),
    "growing": lower_floor(),
}


def ladder(sizes: int, ratios: int, seeds: int, largest: float = 3e9) -> pd.DataFrame:
    """Sizes over a factor of a hundred, D/N from 5 to 160."""
    N, ratio, seed = np.meshgrid(
        np.geomspace(largest / 100, largest, sizes),
        np.geomspace(5, 160, ratios),
        np.arange(seeds),
    )
    return pd.DataFrame({"N": N.ravel(), "D": (N * ratio).ravel(), "seed": seed.ravel()})


def one_ratio() -> pd.DataFrame:
    """Twenty tokens per parameter at each size, three seeds: the best split is not identified."""
    N, seed = np.meshgrid(np.geomspace(3e7, 3e9, 9), np.arange(3))
    return pd.DataFrame({"N": N.ravel(), "D": 20 * N.ravel(), "seed": seed.ravel()})


DESIGNS: dict[str, tuple[pd.DataFrame, float]] = {  # largest N of the baseline; of the candidate
    "7 sizes x 5 D/N": (ladder(7, 5, 1), np.inf),
    "5 sizes x 3 D/N x 2 seeds": (ladder(5, 3, 2), np.inf),
    "candidate to a tenth of the largest N": (ladder(9, 4, 1), 3.1e8),
    "one D/N": (one_ratio(), np.inf),
}


def main() -> None:
    """Print a table for each requested part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["synthetic", "published"])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--only", default="", help="only designs and sets with this in their name")
    options = parser.parse_args()
    # Half of the time of a comparison, and not used by the multiplier.
    compare_arms.sharing_tests = lambda *given: pd.DataFrame()  # type: ignore[assignment]
    for part in options.parts:
        rows = synthetic(options.replicates, options.only) if part == "synthetic" else published()
        for row in rows:
            print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)


# ---- synthetic pairs


def synthetic(replicates: int, only: str = "") -> Iterator[dict[str, str]]:
    """One row a design and a candidate."""
    for design, (runs, largest) in DESIGNS.items():
        for name, candidate in CANDIDATES.items():
            if only in design:
                yield {"design": design, "candidate": name} | _case(
                    runs, largest, candidate, replicates
                )


def _case(runs: pd.DataFrame, largest: float, candidate: Params, replicates: int) -> dict[str, str]:
    rows = []
    for seed in range(replicates):
        table = made(runs, largest, candidate, np.random.default_rng([seed, 5]))
        comparison = analysis.compare_arms(
            table, between=["base", "new"], resamples=RESAMPLES, seed=seed, level=LEVEL
        )
        rows.append(comparison.multipliers.merge(comparison.verdicts, on="C").assign(seed=seed))
    table = pd.concat(rows)
    table["truth"] = [true_multiplier(candidate, row) for row in table.to_dict("records")]
    return {
        str(floor): _inside(rows_of_floor)
        for floor, rows_of_floor in table.groupby("floor", sort=False)
    } | _verdicts(table.drop_duplicates(["seed", "C"]))


def made(
    runs: pd.DataFrame, largest: float, candidate: Params, rng: np.random.Generator
) -> pd.DataFrame:
    """Runs of both recipes; a seed's noise is the same in both."""
    luck = SHARED_NOISE * rng.standard_normal(len(runs))
    tables = []
    for name, params, chosen in (
        ("base", BASELINE, np.ones(len(runs), bool)),
        ("new", candidate, runs["N"].to_numpy() <= largest),
    ):
        noise = luck + OWN_NOISE * rng.standard_normal(len(runs))
        loss = _loss(params, runs["N"], runs["D"]) * np.exp(noise)
        tables.append(runs.assign(arm=name, loss=loss)[chosen])
    return pd.concat(tables, ignore_index=True)


def _loss(params: Params, N: Array, D: Array) -> Array:
    return loss_at(
        analysis.LAWS["chinchilla"],
        np.array([params]),
        np.asarray(N, float)[None],
        np.asarray(D, float)[None],
    )[0]


def true_multiplier(candidate: Params, row: dict) -> float:
    """The true multiplier at best splits, or along the comparison's path (``N, D`` at each C)."""
    law, C = analysis.LAWS["chinchilla"], row["C"]
    if row["split"] == "best":
        N, D = best_split(law, np.array([candidate]), C)
        enough = least_budget(law, np.array([BASELINE]), _loss(candidate, N, D))[0]
        return float(np.nan_to_num(enough / C, nan=np.inf))
    target = _loss(candidate, [row["N"]], [row["D"]])[0]
    times = np.geomspace(1e-4, 1e4, 20001)
    N = row["N"] * times ** row["share"]
    reached = _loss(BASELINE, N, row["N"] * row["D"] * times / N) <= target
    return float(times[reached.argmax()]) if reached.any() else np.inf


def _inside(table: pd.DataFrame) -> str:
    texts = []
    for times, at_budget in _by_budget(table).items():
        within = (at_budget["multiplier_lower"] <= at_budget["truth"] * (1 + 1e-9)) & (
            at_budget["truth"] <= at_budget["multiplier_upper"] * (1 + 1e-9)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            bias = np.log(at_budget["multiplier"] / at_budget["truth"]).median()
            width = np.log(at_budget["multiplier_upper"] / at_budget["multiplier_lower"]).median()
        without = at_budget["multiplier_lower"].isna().mean()
        texts.append(
            f"{times}: {within.sum()} of {at_budget['multiplier_lower'].notna().sum()} inside, bias"
            f" {bias:+.3f}, width {width:.2f}" + (f", {without:.0%} without" if without else "")
        )
    return "; ".join(texts)


def _by_budget(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows of each replicate: at the largest compute at which both recipes were measured where they
    are compared, at the largest compute measured in both at all, and so many times beyond.
    """
    rank = table.groupby("seed")["C"].rank(ascending=False)
    names = [f"{times:g}x" for times in BEYOND[::-1]]
    return {name: table[rank == k + 1] for k, name in enumerate([*names, "measured"])}


def _verdicts(table: pd.DataFrame) -> dict[str, str]:
    texts = []
    for times, at_budget in _by_budget(table).items():
        right = np.where(at_budget["truth"] > 1, "saves", "costs")
        right = np.where(np.abs(at_budget["truth"] - 1) < 0.01, "cannot tell", right)
        opposite = at_budget["verdict"].ne("cannot tell") & at_budget["verdict"].ne(right)
        texts.append(
            f"{times}: truth {at_budget['truth'].iloc[0]:.2f},"
            f" right {(at_budget['verdict'] == right).sum()},"
            f" false {opposite.sum()} of {len(at_budget)}"
        )
    return {"verdicts": "; ".join(texts)}


# ---- published pairs


def published() -> Iterator[dict[str, str]]:
    """One row a pair: multiplier at the largest budget, predicted without it and from all."""
    for between, measured, runs in pairs():
        name = f"{measured}: {between[1]} over {between[0]}"
        runs = runs[runs["arm"].isin(between)]
        cost = 6 * runs["N"] * runs["D"]
        top = float(cost.groupby(runs["arm"]).max().min())
        without = runs[cost < top / 1.5]
        comparison, whole = (
            analysis.compare_arms(table, between=between, budgets=[top], resamples=RESAMPLES)
            for table in (without, runs)
        )
        if comparison.result is None or whole.result is None:
            yield {"pair": name, "refused": "; ".join((comparison.warnings or whole.warnings)[:1])}
            continue
        reference = whole.multipliers[whole.multipliers["C"] == top]
        row = {
            "pair": name,
            "reference": _said(reference),
            "predicted": _said(comparison.multipliers),
        }
        verdicts = [f.verdicts.set_index("C")["verdict"][top] for f in (comparison, whole)]
        yield row | {"verdicts": " / ".join(verdicts)}


def _said(table: pd.DataFrame) -> str:
    return ", ".join(
        f"{r['floor']} {r['multiplier']:.3g} ({r['multiplier_lower']:.3g} to"
        f" {r['multiplier_upper']:.3g})"
        for r in table[table["C"] == table["C"].max()].to_dict("records")
    )


def pairs() -> Iterator[tuple[tuple[str, str], str, pd.DataFrame]]:
    """Pairs of recipes in one set: baseline and candidate, the set, and ``arm, N, D, loss``."""
    folder = Path(os.environ["SCALING_PUBLIC_DATA"])
    sweeps = pd.read_csv(folder / "porian" / "isoflop_points.csv")
    sweeps = sweeps[sweeps["param_count"] == "standard"].assign(
        arm=lambda t: t["hparams"] + " " + t["warmup"] + " " + t["decay"]
    )
    sweeps = sweeps.rename(columns={"n": "N", "tokens": "D"})[["arm", "N", "D", "loss"]]
    for between in (
        ("base short kaplan", "base short chinchilla"),
        ("base short chinchilla", "tuned short const"),
        ("base long kaplan", "base short kaplan"),
    ):
        yield between, "Porian", sweeps
    sweep = pd.read_csv(folder / "loss_to_loss" / "sweep.csv")
    corpora = pd.DataFrame({"arm": sweep["data"], "N": sweep["params"], "D": sweep["tokens"]})
    for measured in ("c4", "smollm"):
        runs = corpora.assign(loss=sweep[f"eval/{measured}_val/CrossEntropyLoss"]).dropna()
        for between in (("slimpajama-chunk1", "fineweb-100b"), ("starcoder", "slimpajama-chunk1")):
            yield between, f"loss-to-loss on {measured}", runs
    models = pd.read_csv(folder / "gadre" / "gadre_models.csv")
    models = models.rename(columns={"dataset_name": "arm"})
    for measured in ("c4_val", "paloma_falcon-refinedweb"):
        runs = models[["arm", "N", "D"]].assign(loss=models[f"loss_{measured}"]).dropna()
        yield ("c4_original", "rpj"), f"Gadre on {measured}", runs


if __name__ == "__main__":
    main()
