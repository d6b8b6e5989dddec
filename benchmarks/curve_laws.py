"""Accuracy and speed of laws of whole curves.

Run: OMP_NUM_THREADS=1 python benchmarks/curve_laws.py

Needs the published runs: set SCALING_PUBLIC_DATA to their folder. Every law has one setting
for all sets. `python benchmarks/curve_laws.py growth` measures only synthetic curves.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.laws.law import Array

LAWS = ("lr_annealing", "multi_power", "functional", "fading_power")
STARTS = 16
TRAIN = ["cosine_24000", "constant_24000", "wsdcon_9"]
# 124M: constant, a 20 % cooldown after 20,000 steps, a cosine of 25,000.
TRAIN_124M = ["190", "50", "174"]
COUNTS = (10, 100, 1_000, 10_000)


def main() -> None:
    """Print every figure."""
    if sys.argv[1:] != ["growth"]:
        published()
    growth()


def published() -> None:
    """Errors of each law on held-out schedules."""
    small, large, real = power_law_curves("25M"), power_law_curves("100M"), cooldown_curves()
    sets = {"25M": (small, TRAIN), "124M": (real, TRAIN_124M)}
    for name, (curves, train) in sets.items():
        seen = curves.run.isin(train)
        for law in LAWS:
            started = time.perf_counter()
            result = analysis.fit(law, curves[seen], resamples=0, starts=STARTS)
            seconds = time.perf_counter() - started
            show(f"{name} {law}", unseen(result, curves, seen), f"fitted in {seconds:.1f} s")
    for law in LAWS:  # only three curves: each is predicted from the other two
        errors = []
        for run in TRAIN:
            seen = large.run != run
            result = analysis.fit(law, large[seen], resamples=0, starts=STARTS)
            errors.append(unseen(result, large, seen))
        show(f"100M {law}, each curve from two", pd.DataFrame(errors).mean(), "")


def unseen(result: analysis.Result, curves: pd.DataFrame, seen: pd.Series) -> pd.Series:
    """R² and MAE of held-out curves, their mean, and the MAE of their last losses."""
    rows = []
    for _, curve in curves[~seen].groupby("run"):
        predicted = result.predict(curve).loss
        last = curve.loss.last_valid_index()
        found = analysis.scores(curve.loss, predicted)
        rows.append({**found, "final": abs(predicted[last] - curve.loss[last])})
    return pd.DataFrame(rows)[["r2", "mae", "final"]].mean()


def growth() -> None:
    """Processor time and memory of a fit of 10 to 10,000 thinned curves, 200 losses each."""
    for count in COUNTS:
        started = time.process_time()
        curves = synthetic(count)
        made = time.process_time()
        result = analysis.fit("lr_annealing", curves, resamples=0)
        seconds = time.process_time() - made
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{count:6,} curves, {result.points:9,} losses: thinned in {made - started:6.1f} s,"
            f" fitted in {seconds:6.1f} s ({1e6 * seconds / result.points:.0f} s a million);"
            f" peak memory {memory:.2f} GiB; alpha {result.params['alpha']:.4f} (made with .45)",
            flush=True,
        )


def synthetic(count: int, steps: int = 10_000, losses: int = 200) -> pd.DataFrame:
    """Thinned curves of the momentum law, of several peaks and shapes."""
    law = analysis.LAWS["lr_annealing"]
    params = np.array([[2.5, 0.9, 0.45, 0.8, 0.99]])
    rng, step, tables = np.random.default_rng(0), np.arange(steps), []
    measured = np.zeros(steps, bool)
    measured[np.linspace(steps // 20, steps - 1, losses).astype(int)] = True
    for k in range(count):
        curve = pd.DataFrame({"run": k, "step": step, "lr": _schedule(k, step, rng)})
        curve["loss"] = np.where(measured, 1.0, np.nan)
        thinned = analysis.thin_curves(curve)
        rows = thinned.loss.notna().to_numpy()
        made = law.predict(params, law.read(thinned, rows))[0]
        noisy = made * np.exp(0.002 * rng.standard_normal(len(made)))
        thinned.loc[rows, "loss"] = noisy
        tables.append(thinned)
    return pd.concat(tables, ignore_index=True)


def _schedule(k: int, step: Array, rng: np.random.Generator) -> Array:
    share = step / len(step)
    cooldown = rng.uniform(0.1, 0.5)
    shapes = (
        np.ones(len(step)),
        0.55 + 0.45 * np.cos(np.pi * share),
        np.clip((1 - share) / cooldown, 0.05, 1),
    )
    return 10 ** rng.uniform(-3.3, -2.5) * np.minimum(step / 300, 1) * shapes[k % 3]


def power_law_curves(model: str) -> pd.DataFrame:
    """Curves of arXiv:2503.12811 with their learning rate at every step."""
    folder = data() / "multipowerlaw"
    curves = pd.read_csv(folder / "mpl_curves.csv")
    schedules = pd.read_parquet(folder / "schedules.parquet")
    measured = curves.loc[curves.model == model, ["schedule", "step", "loss"]]
    schedules = schedules[schedules.schedule.isin(measured.schedule)]
    whole = schedules.merge(measured, on=["schedule", "step"], how="left")
    return whole.rename(columns={"schedule": "run"})


def cooldown_curves() -> pd.DataFrame:
    """36 runs of 124M: logged learning rates joined by lines, branches with their trunk's before.

    The trunk's last logged learning rate is zero, an artefact of its scheduler.
    """
    folder = data() / "lr_schedules"
    logged = pd.read_parquet(folder / "curves_train.parquet").query("~superseded")
    losses = pd.read_parquet(folder / "curves_val.parquet").query("~superseded")
    trunk = logged[(logged.run == 190) & (logged.lr > 0)].sort_values("step")
    tables = []
    for run, own in logged.groupby("run"):
        own = trunk if run == 190 else own.sort_values("step")
        rates = pd.concat([trunk[trunk.step < own.step.min()], own])
        step = np.arange(int(rates.step.max()) + 1)
        lr = np.interp(step, [0, *rates.step], [0, *rates.lr])
        loss = losses[losses.run == run].drop_duplicates("step", keep="last")
        loss = loss.set_index("step").val_loss.reindex(step)
        tables.append(pd.DataFrame({"run": str(run), "step": step, "lr": lr, "loss": loss}))
    return pd.concat(tables, ignore_index=True)


def data() -> Path:
    """Folder of the published runs."""
    default = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("SCALING_PUBLIC_DATA", default))


def show(what: str, errors: pd.Series, time_taken: str) -> None:
    """Print one line."""
    print(
        f"{what:40s} R² {errors.r2:.5f}  MAE {errors.mae:.5f}  final {errors.final:.4f}"
        f"  {time_taken}",
        flush=True,
    )


if __name__ == "__main__":
    main()
