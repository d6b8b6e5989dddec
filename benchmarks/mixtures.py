"""Predicted losses of held-out data mixtures: other shares, and larger models.

    OMP_NUM_THREADS=1 python benchmarks/mixtures.py [--resamples 99] [--targets c4 github ...]

38 mixtures of the seven domains of SlimPajama, six sizes, the losses on each domain and on a set of
another kind (openhermes). Points are the second half of each run; before it the learning rate is
far from its final value. Held out, one split at a time:

- ``mixtures``: five parts of the mixtures, drawn once with seed 0;
- ``largest size``: 2.7B, which three mixtures have;
- ``above 1B``: the two largest.

``mixing`` is one law for all mixtures (`mixing_law`, the target's own pool first). Beside it:
``offset``, the same minus its error on each mixture at the largest fitted size; ``exponential``, E
+ exp(sum of t_j s_j) fitted at each size and checkpoint by itself (Data Mixing Laws, arXiv
2403.16952), which uses no other size; ``alone``, Chinchilla's law fitted to each mixture by itself,
which uses no other mixture. Printed: the root mean square of the log errors of each, and the share
of points inside the 95 % intervals of the first. Needs the published runs: set SCALING_PUBLIC_DATA
to their folder. The form of the law was chosen among eight on these splits, so they do not test it;
other runs would.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from scalinglab import analysis
from scalinglab.analysis.laws.mixing import mixing_law

Array = np.ndarray
FOLDS, LEVEL = 5, 0.95


def main() -> None:
    """Print a row a target and a split, and the sums over targets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=99)
    parser.add_argument("--targets", nargs="*")
    asked = parser.parse_args()
    runs, pools = read()
    targets = asked.targets or [*pools, "openhermes"]
    rows = []
    for target in targets:
        for name, held_out in splits(runs):
            rows.append(
                {"target": target, "split": name}
                | scored(runs, pools, target, held_out, asked.resamples)
            )
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table["split"] = table["split"].str.replace(r" \d$", "", regex=True)
    table["kind"] = np.where(table["target"].isin(pools), "domain", "other")

    def rms(values):
        return (
            float(np.sqrt(np.mean(np.square(values.dropna())))) if values.notna().any() else np.nan
        )

    sums = table.groupby(["kind", "split"], sort=False).agg(
        mixing=("mixing", rms),
        offset=("offset", rms),
        exponential=("exponential", rms),
        alone=("alone", rms),
        contained=("contained", "sum"),
        held_out=("held_out", "sum"),
    )
    print(table.round(4).to_string(index=False))
    print(sums.assign(coverage=sums["contained"] / sums["held_out"]).round(4).to_string())


def read() -> tuple[pd.DataFrame, list[str]]:
    """Second halves of runs: ``N, D, share.<pool>, loss.<target>, mixture``; the pools."""
    folder = Path(os.environ["SCALING_PUBLIC_DATA"])
    runs = pd.read_csv(folder / "mixtures" / "train.csv.gz").dropna()
    weights = [c for c in runs if c.startswith("weight_")]
    pools = [c.removeprefix("weight_") for c in weights]
    mixture = runs.groupby(weights).ngroup()
    last = runs["n_tokens"].groupby([mixture, runs["model_size"]]).transform("max")
    names = {f"weight_{p}": f"share.{p}" for p in pools} | {"model_size": "N", "n_tokens": "D"}
    names |= {f"{t}_loss": f"loss.{t}" for t in (*pools, "openhermes")}
    runs = runs.rename(columns=names).assign(
        mixture=mixture,
        run_id=[f"{m} {n:g}" for m, n in zip(mixture, runs["model_size"], strict=True)],
    )
    return runs[runs["D"] > 0.49 * last].reset_index(drop=True), pools


def splits(runs: pd.DataFrame) -> Iterator[tuple[str, Array]]:
    """Name of each split, and its held-out rows."""
    count = runs["mixture"].nunique()
    fold = (np.random.default_rng(0).permutation(count) % FOLDS)[runs["mixture"]]
    for part in range(FOLDS):
        yield f"mixtures {part + 1}", fold == part
    yield "largest size", (runs["N"] == runs["N"].max()).to_numpy()
    yield "above 1B", (runs["N"] > 1e9).to_numpy()


def scored(
    runs: pd.DataFrame, pools: list[str], target: str, held_out: Array, resamples: int
) -> dict[str, float]:
    """One split of one target, by each method."""
    runs = runs.assign(loss=runs[f"loss.{target}"])
    known, ahead = runs[~held_out], runs[held_out]
    result = analysis.fit(mixing_law(in_order(pools, target)), known, resamples=resamples)
    predicted = result.predict(ahead, LEVEL)
    error = np.log(predicted["loss"] / ahead["loss"])
    found = {"mixing": float(np.sqrt(np.mean(error**2))), "held_out": len(ahead)}
    if resamples:
        within = (predicted["lower"] <= ahead["loss"]) & (ahead["loss"] <= predicted["upper"])
        found["contained"] = int(within.sum())
    return found | {
        "offset": offset(result, known, ahead, error),
        "exponential": exponential(known, ahead, pools),
        "alone": alone(known, ahead),
    }


def offset(
    result: analysis.Result, known: pd.DataFrame, ahead: pd.DataFrame, error: pd.Series
) -> float:
    """The prediction of each mixture minus the law's error at its largest fitted size."""
    largest = known[known["N"] == known.groupby("mixture")["N"].transform("max")]
    missed = np.log(result.predict(largest)["loss"] / largest["loss"])
    own = ahead["mixture"].map(missed.groupby(largest["mixture"]).mean())
    return float(np.sqrt(np.mean((error - own) ** 2))) if own.notna().all() else np.nan


def in_order(pools: list[str], target: str) -> list[str]:
    """The target's own pool first, else the largest text pool."""
    first = target if target in pools else "commoncrawl"
    return [first, *(p for p in pools if p != first)]


def exponential(known: pd.DataFrame, ahead: pd.DataFrame, pools: list[str]) -> float:
    """Root mean square log error; NaN where no mixture of a size is fitted."""
    shares, errors = [f"share.{p}" for p in pools], []
    for key, own in ahead.groupby(["N", "D"]):
        cell = known[(known["N"] == key[0]) & (known["D"] == key[1])]
        if len(cell) <= len(pools) + 1:
            continue
        x, y = cell[shares].to_numpy(), cell["loss"].to_numpy()

        def residual(p: Array, x: Array = x, y: Array = y) -> Array:
            return np.log((np.exp(p[0]) + np.exp(x @ p[1:])) / y)

        begin = np.r_[np.log(y.min() * 0.7), np.full(len(shares), np.log(y.mean() * 0.3))]
        p = least_squares(residual, begin, loss="soft_l1", f_scale=0.01).x
        errors.append(residual(p, own[shares].to_numpy(), own["loss"].to_numpy()))
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2))) if errors else np.nan


def alone(known: pd.DataFrame, ahead: pd.DataFrame) -> float:
    """Root mean square log error; NaN where a mixture is fitted at fewer than three sizes."""
    errors = []
    for mixture, own in ahead.groupby("mixture"):
        mine = known[known["mixture"] == mixture]
        if mine["N"].nunique() < 3:
            continue
        predicted = analysis.fit("chinchilla", mine, resamples=0).predict(own)["loss"]
        errors.append(np.log(predicted / own["loss"]))
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2))) if errors else np.nan


if __name__ == "__main__":
    main()
