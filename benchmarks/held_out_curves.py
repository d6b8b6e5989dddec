"""Coverage of intervals of curve laws on held-out schedules.

Run: OMP_NUM_THREADS=1 python benchmarks/held_out_curves.py [law ...]

Needs the published runs: set SCALING_PUBLIC_DATA to their folder. Each fold fits some runs of a set
and asks `Result.predict(level=.95)` for others, whose losses the fit never sees. Scored are their
last losses, and beside them all their losses after the warm-up.

* Coverage counts groups, with the binomial interval of as many: the schedules of one family (a kind
  of decay over one share of the run, at all lengths) are one group, since they fail together.
* The interval score is the mean over groups, in per cent of the loss. Beside it stands that of
  split-conformal intervals: the 95 % quantile of the errors of the fold's other groups around the
  same predictions. These use errors that no fit has; the aim is at most 1.2 times their score.

What may be used to choose anything (a rule, a constant, a default): the sets of `DEVELOPMENT`, and
only crosswise: what is chosen on one is scored on the other. All other sets are only scored. Their
figures were first printed before intervals of curve laws knew refits without one curve.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from curve_laws import STARTS, TRAIN, TRAIN_124M, cooldown_curves, data, power_law_curves
from scoring import (
    LEVEL,
    conformal_without_own_group,
    contained,
    coverage,
    interval_scores,
    log_errors,
)

from scalinglab import analysis
from scalinglab.scaling.errors import UserError

LAWS = ("lr_annealing", "multi_power")  # the default laws of forecasts and schedules
RESAMPLES = 200
DEVELOPMENT = ("25M", "124M")
OLMO_SIZES = ("190M", "370M", "760M", "1B", "3B")
OLMO_LOSS = "eval/c4_en-validation/CrossEntropyLoss"


@dataclass(frozen=True)
class Fold:
    """The fitted and the predicted runs of a set."""

    set: str
    name: str
    fitted: tuple[str, ...]
    asked: tuple[str, ...]


def folds(name: str) -> Iterator[Fold]:
    """The named folds of a set."""
    runs = sorted(curves(name)["run"].unique())

    def fold(what: str, fitted: Callable[[str], bool], asked: Callable[[str], bool]) -> Fold:
        seen = tuple(r for r in runs if fitted(r))
        return Fold(name, what, seen, tuple(r for r in runs if asked(r) and r not in seen))

    def each_left_out(what: str) -> Iterator[Fold]:
        for run in runs:
            yield fold(what, lambda r, run=run: r != run, lambda r, run=run: r == run)

    if name == "25M":
        two = TRAIN[:2]
        yield fold("two curves", lambda r: r in two, lambda r: True)
        yield fold("three curves", lambda r: r in TRAIN, lambda r: True)
        yield fold("short to three times as long", lambda r: "72000" not in r, lambda r: True)
        yield from each_left_out("each from all others")
    elif name == "100M":
        yield from each_left_out("each from two")
    elif name == "124M":
        family, steps = _families()
        kinds = sorted(set(family.values()) - {"constant"})
        yield fold("two curves", lambda r: r in TRAIN_124M[:2], lambda r: True)
        yield fold("three curves", lambda r: r in TRAIN_124M, lambda r: True)
        for rest in (0, 1):  # the constant run is in both halves and is never predicted
            half = {"constant", *kinds[rest::2]}
            yield fold("half of the families", lambda r, h=half: family[r] in h, lambda r: True)
        yield fold(
            "short to up to twice as long",
            lambda r: steps[r] <= 25_000,
            lambda r: family[r] != "constant",
        )
    else:
        short = ("0.5xC", "1xC", "2xC")
        yield fold(
            "short to five times as long", lambda r: r in short, lambda r: r in ("5xC", "10xC")
        )
        yield from each_left_out("each from all others")


@cache
def curves(name: str) -> pd.DataFrame:
    """Thinned curves of a set: ``run, step, lr, loss``."""
    if name == "124M":
        table = cooldown_curves()
    elif name in OLMO_SIZES:
        table = ladder_curves(name)
    else:
        table = power_law_curves(name)
    return analysis.thin_curves(table)


def group_of(name: str, run: str) -> str:
    """The independent group that a run belongs to: its schedule family."""
    return _families()[0][run] if name == "124M" else run


@cache
def _families() -> tuple[dict[str, str], dict[str, int]]:
    """Family and steps of the 124M runs."""
    runs = pd.read_csv(data() / "lr_schedules" / "runs.csv").astype({"run": str})
    kind = runs["scheduler"] + " " + runs["decay_type"].fillna("") + " "
    family = dict(zip(runs["run"], kind + runs["wsd_fract_decay"].astype(str), strict=True))
    family[TRAIN_124M[0]] = "constant"
    return family, dict(zip(runs["run"], runs["iterations"], strict=True))


def ladder_curves(size: str) -> pd.DataFrame:
    """OLMo's ladder at one size: cosines of five lengths, losses on C4.

    Learning rates are logged at the validations; straight lines join them.
    """
    rows = pd.read_parquet(data() / "olmo_ladder" / "ladder_runs.parquet")
    tables = []
    for run, own in rows[rows["run"].str.startswith(f"{size}-")].groupby("run"):
        length = str(run).removeprefix(f"{size}-")
        if length.endswith("rerun"):
            continue
        own = own.sort_values("_step")
        step = np.arange(int(own["_step"].max()) + 1)
        lr = np.interp(step, [0, *own["_step"]], [0, *own["optim/learning_rate_group0"]])
        loss = own.set_index("_step")[OLMO_LOSS].reindex(step)
        # No law describes the beginning: a tenth of the run is left out, as in the ladder.
        loss = loss.where(step > 0.1 * step[-1]).to_numpy()
        tables.append(pd.DataFrame({"run": length, "step": step, "lr": lr, "loss": loss}))
    return pd.concat(tables, ignore_index=True)


def predicted(law: str, fold: Fold) -> pd.DataFrame:
    """Predicted losses of held-out runs with intervals; ``last`` marks each run's last loss."""
    table = curves(fold.set)
    result = analysis.fit(
        law,
        table[table["run"].isin(fold.fitted)],
        resamples=RESAMPLES,
        starts=STARTS,
    )
    parts = []
    for run in fold.asked:
        own = table[table["run"] == run]
        try:
            said = result.predict(own, level=LEVEL)
        except UserError:
            said = result.predict(own).assign(lower=np.nan, upper=np.nan)
        part = own.assign(said=said["loss"], lower=said["lower"], upper=said["upper"])
        part = part[part["loss"].notna() & part["said"].notna()]
        part["last"] = part.index == part.index[-1]
        parts.append(part.assign(group=group_of(fold.set, run)))
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(set=fold.set, fold=fold.name, law=law)


def scored(rows: pd.DataFrame) -> dict[str, object]:
    """Scores of some predictions of last losses."""
    group = rows["set"] + " " + rows["group"]
    error = log_errors(rows["loss"], rows["said"])
    inside = contained(rows["loss"], rows["lower"], rows["upper"])
    own = interval_scores(rows["loss"], rows["lower"], rows["upper"])
    conformal = np.full(len(rows), np.nan)
    for at in rows.groupby(["law", _set(rows), "fold"]).indices.values():
        ends = conformal_without_own_group(rows["said"].iloc[at], error[at], group.iloc[at])
        conformal[at] = interval_scores(rows["loss"].iloc[at], *ends)
    half = np.log(rows["upper"] / rows["lower"]) / 2
    known = np.isfinite(own) & np.isfinite(conformal)

    def mean(values: np.ndarray) -> float:
        return float(pd.Series(np.asarray(values))[known].groupby(group[known]).mean().mean())

    found = coverage(np.nan_to_num(inside), group)
    return {
        "runs": len(rows),
        "inside": found,
        "half": mean(half),
        "score": mean(own),
        "conformal": mean(conformal),
        "ratio": mean(own) / mean(conformal) if known.any() else float("nan"),
        "error": float(np.mean(np.abs(error))),
    }


def _set(rows: pd.DataFrame) -> pd.Series:
    """The name of a set; OLMo's sizes are one set."""
    return rows["set"].where(~rows["set"].isin(OLMO_SIZES), "OLMo")


def whole_curves(rows: pd.DataFrame) -> float:
    """Share of all losses inside their intervals, each group counted once."""
    inside = contained(rows["loss"], rows["lower"], rows["upper"])
    return coverage(np.nan_to_num(inside), rows["set"] + " " + rows["group"]).share


def main() -> None:
    """Print one line a law, set and fold, then sums."""
    laws = sys.argv[1:] or list(LAWS)
    print(
        f"{'law, set, fold':58s}{'runs':>5} {'last losses inside, by group':>30}{'curve':>7}"
        f"{'half-width':>11}{'score':>8}{'conformal':>10}{'ratio':>6}{'error':>7}"
    )
    every = []
    for law in laws:
        started, rows = time.perf_counter(), []
        for name in (*DEVELOPMENT, "100M", *OLMO_SIZES):
            rows += [predicted(law, fold) for fold in folds(name)]
        table = pd.concat(rows, ignore_index=True)
        for (name, fold), part in table.groupby([_set(table), "fold"], sort=False):
            show(f"{law}, {name}, {fold}", part)
        development = table["set"].isin(DEVELOPMENT)
        show(f"{law}, development sets", table[development])
        show(f"{law}, sets that are only scored", table[~development])
        print(f"{law}: {time.perf_counter() - started:.0f} s", flush=True)
        every.append(table)
    table = pd.concat(every)
    show("all laws, sets that are only scored", table[~table["set"].isin(DEVELOPMENT)])


def show(what: str, rows: pd.DataFrame) -> None:
    """Print one line."""
    found = scored(rows[rows["last"]].reset_index(drop=True))
    fails = "!" if found["inside"].fails else " "
    print(
        f"{what:58s}{found['runs']:5d} {found['inside']!s:>29}{fails}{whole_curves(rows):7.0%}"
        f"{found['half']:11.2%}{found['score']:8.2%}{found['conformal']:10.2%}"
        f"{found['ratio']:6.2f}{found['error']:7.2%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
