"""Decisions from published runs: the answer of each method, and its cost.

    OMP_NUM_THREADS=1 python benchmarks/decisions.py [allocation | speed | lr_batch | ...]

Needs the published runs: set SCALING_PUBLIC_DATA to their folder.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.decisions.approaches import NAMES
from scalinglab.analysis.decisions.cost_functions import shape_by_aspect, with_attention

A_ROUND = 4  # runs, as `scaling reach` has it
RANDOM = range(3)  # seeds of random orders
PORIAN = ["hparams", "warmup", "decay", "param_count", "val"]


def main() -> None:
    """Print all tables, or the named ones."""
    names = sys.argv[1:] or list(PARTS)
    for name in names:
        print(f"\n== {name}")
        PARTS[name]()


def folder() -> Path:
    """Where the published runs are."""
    return Path(os.environ["SCALING_PUBLIC_DATA"])


def sweeps() -> Iterator[tuple[str, pd.DataFrame]]:
    """IsoFLOP sweeps with N, D, loss and the budget that they were planned for."""
    table = pd.read_csv(folder() / "isoflops" / "isoflops.csv")
    table = table.rename(columns={"params": "N", "tokens": "D"})
    for name, runs in table.groupby("experiment"):
        yield f"isoflops, {name.split('__')[0]}", runs
        yield f"isoflops, {name.split('__')[0]}, without outliers", runs[~runs["outlier"]]
    table = pd.read_csv(folder() / "porian" / "isoflop_points.csv")
    table = table.rename(columns={"n": "N", "tokens": "D", "flops": "budget"})
    for name, runs in table.groupby(PORIAN):
        yield f"porian, {' '.join(name)}", runs


def allocation() -> None:
    """Approaches 1 to 3 with intervals; the refused budgets; the bias of the parabola."""
    rows, refused = [], []
    for name, runs in sweeps():
        approaches = analysis.compare_approaches(runs, 1e20, budget="budget")
        intervals = analysis.with_intervals(approaches.exponents).set_index("approach")
        sizes = analysis.with_intervals(approaches.table).set_index("approach")["N"]
        row = {"set": name}
        for approach in NAMES.values():
            row[f"{approach}: a"] = intervals["a"].get(approach, "refused")
            row[f"{approach}: N* at 1e20"] = sizes.get(approach, "")
        rows.append(row)
        refused += [{"set": name, **r} for r in approaches.refused.to_dict("records")]
        for warning in approaches.warnings:
            if "parabola" in warning:
                refused.append({"set": name, "approach": "2 IsoFLOP", "why": warning})
    _print(pd.DataFrame(rows))
    _print(pd.DataFrame(refused))


def lr_batch() -> None:
    """Regret of learning rate and batch on held-out (N, D)."""
    runs = pd.read_csv(folder() / "steplaw" / "dense_lr_bs_loss.csv").astype({"N": float})
    runs = runs.assign(batch=2048.0 * runs["bs"], loss=runs["smooth loss"])
    laws = analysis.lr_batch(runs)
    table = analysis.held_out_regret(laws)
    _print(table.assign(**{c: table[c].map("{:.3%}".format) for c in ("regret", "constant")}))
    for name in ("regret", "constant"):
        print(f"{name}: mean {table[name].mean():.3%}, largest {table[name].max():.2%}")
    ahead = pd.DataFrame({"N": [1e9, 7e9], "D": [1e11, 1e12]})
    _print(ahead.join(laws.predict(ahead, level=0.95)))


def schedule() -> None:
    """The best schedule under laws of the 25M curves, beside the published ones of its length."""
    curves = curves_25m()
    train = curves.run.isin(["cosine_24000", "constant_24000", "wsdcon_9"])
    for law in ("lr_annealing", "fading_power", "multi_power"):
        result = analysis.fit(law, curves[train], resamples=200, starts=16)
        for steps, floor in ((24_000, 0.1), (24_000, 0.0), (72_000, 0.1)):
            best = analysis.best_schedule(result, steps, peak=3e-4, warmup=2160, final_ratio=floor)
            same = curves[curves.groupby("run").step.transform("size") == steps]
            others = result.predict(same).loss.groupby(same.run).last()
            print(
                f"\n{law}, {steps} steps, down to {floor:g} of the peak: {best.loss['loss']:.4f}"
                f" in {best.seconds:.1f} s; published: "
                + ", ".join(f"{name} {loss:.4f}" for name, loss in others.items())
            )
            _print(analysis.with_intervals(best.gains))
            print(*best.warnings, sep="\n")


def reach() -> None:
    """`reach` on published grids: a run's loss is looked up only when `reach` asks for the run.

    The target is the loss at the grid's largest budget, within twice the half-width that the whole
    grid gives. Printed: the share of the grid's FLOPs until then, by worth, largest first and at
    random (median of several), and how many answers contain that of the whole grid.
    """
    for name, runs in grids():
        runs = runs.reset_index(drop=True)
        runs = runs.assign(cost=6 * runs["N"] * runs["D"])
        at = {"C": float(runs["cost"].max())}
        fitted = analysis.fit("chinchilla", runs, resamples=200)
        whole = analysis.Target("loss", at).estimate(fitted)
        target = analysis.Target("loss", at, 2 * whole["half_width"])
        orders = {
            "by worth": [None],
            "largest first": [_largest],
            "at random": [_random(seed) for seed in RANDOM],
        }
        texts = []
        for order, ways in orders.items():
            ends = [_reached(runs, target, choose, whole["value"]) for choose in ways]
            shares = sorted(share for share, _ in ends)
            spread = f" ({shares[0]:.1%} to {shares[-1]:.1%})" if len(ends) > 1 else ""
            texts.append(
                f"{order} {np.median(shares):.1%}{spread},"
                f" {sum(inside for _, inside in ends)} of {len(ends)} contain"
            )
        print(
            f"{name}, {len(runs)} runs, {_interval(whole)}, wanted within {target.within:.2%}: "
            + "; ".join(texts),
            flush=True,
        )


def grids() -> Iterator[tuple[str, pd.DataFrame]]:
    """The published grids of N and D under one recipe."""
    for name, runs in sweeps():
        if "porian" in name or "without" in name:
            yield name, runs
    table = pd.read_csv(folder() / "loss_to_loss" / "sweep.csv")
    table = table.rename(columns={"params": "N", "tokens": "D", "val_loss": "loss"})
    for name, runs in table[table["loss"].notna()].groupby("data"):
        yield f"loss to loss, {name}", runs
    yield "chinchilla, all curves", chinchilla_points()


def chinchilla_points() -> pd.DataFrame:
    """Ends of the curves of arXiv:2203.15556, as digitised, without five outliers."""
    points = pd.read_csv(folder() / "chinchilla" / "chinchilla_points.csv")
    points = points[~points["outlier_epoch"]]
    return points.rename(columns={"params": "N", "tokens": "D"})


def _largest(result: analysis.Result, left: pd.DataFrame, budget: float) -> pd.DataFrame:
    return left.sort_values("cost", ascending=False).iloc[:A_ROUND]


def _random(seed: int) -> Callable:
    rng = np.random.default_rng(seed)
    return lambda result, left, budget: left.sample(min(A_ROUND, len(left)), random_state=rng)


def _reached(
    runs: pd.DataFrame, target: analysis.Target, choose: Callable | None, true: float
) -> tuple[float, bool]:
    """The share of the grid's FLOPs used; whether the answer contains the whole grid's."""
    start = runs.sort_values("cost").iloc[: max(15, len(runs) // 5)]
    trained = list(start.index)

    def measure(rows: pd.DataFrame) -> pd.DataFrame:
        trained.extend(rows.index)
        return runs.loc[trained]

    left = runs.drop(index=start.index).drop(columns="loss")
    reached = analysis.reach_target(
        start, left, measure, target, choose=choose, each=A_ROUND, resamples=200
    )
    last = reached.history.iloc[-1]
    share = runs.loc[trained, "cost"].sum() / runs["cost"].sum()
    return float(share), bool(last["lower"] <= true <= last["upper"])


def _interval(row: Mapping[str, float]) -> str:
    return f"{row['value']:.4f} ({row['lower']:.4f} to {row['upper']:.4f})"


def curves_25m() -> pd.DataFrame:
    """The 25M curves of arXiv:2503.12811, one row a step."""
    curves = pd.read_csv(folder() / "multipowerlaw" / "mpl_curves.csv")
    schedules = pd.read_parquet(folder() / "multipowerlaw" / "schedules.parquet")
    measured = curves.loc[curves.model == "25M", ["schedule", "step", "loss"]]
    whole = schedules[schedules.schedule.isin(measured.schedule)]
    return whole.merge(measured, on=["schedule", "step"], how="left").rename(
        columns={"schedule": "run"}
    )


def speed() -> None:
    """Seconds of an allocation after a fit with 1,000 draws, best of ten: wall clock, and processor
    time, which other jobs do not lengthen."""
    fitted = analysis.fit("chinchilla", chinchilla_points())
    cost = with_attention(2048, shape_by_aspect(128, 32_000))
    jobs: dict[str, Callable] = {
        "three budgets, 6 N D": lambda: analysis.allocate(fitted, [1e19, 1e21, 1e23]),
        "one budget, causal attention": lambda: analysis.allocate(fitted, 1e21, cost=cost),
        "cheapest way to a loss, 6 N D": lambda: analysis.cheapest(fitted, 2.1),
    }
    for name, job in jobs.items():
        clocks = [
            min(_seconds(job, clock) for _ in range(10))
            for clock in (time.perf_counter, time.process_time)
        ]
        print(f"{name}: {clocks[0]:.3f} s, {clocks[1]:.3f} s of the processor")


def _seconds(job: Callable, clock: Callable[[], float]) -> float:
    began = clock()
    job()
    return clock() - began


def _print(table: pd.DataFrame) -> None:
    with pd.option_context("display.max_colwidth", None, "display.width", 1000):
        print(table.astype(object).fillna("").to_string(index=False))


PARTS: dict[str, Callable[[], None]] = {
    "allocation": allocation,
    "lr_batch": lr_batch,
    "schedule": schedule,
    "reach": reach,
    "speed": speed,
}


if __name__ == "__main__":
    main()
