"""Published fits and ours to the same points, in one table.

    OMP_NUM_THREADS=1 python benchmarks/references.py [--only WORD]

Held-out errors are of points that the fit did not see: the largest budgets or models. `covered` is
the share of them inside 95 % prediction intervals. Needs the published runs: set
SCALING_PUBLIC_DATA to their folder.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.fitting.result import Result

LEVEL = 0.95


@dataclass
class Row:
    """One row of the table; entries that do not apply are empty."""

    set: str
    law: str
    published: str = ""
    ours: str = ""
    interval: str = ""
    held_out: str = ""
    covered: str = ""
    seconds: float = np.nan
    warnings: tuple[str, ...] = field(default=())


def main() -> None:
    """Print the table, and below it the warnings of each fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only sets whose name contains this")
    wanted = parser.parse_args().only
    rows = [row for name, rows in SETS.items() if wanted in name for row in rows()]
    table = pd.DataFrame([asdict(row) for row in rows])
    table["warnings"] = [len(row.warnings) for row in rows]
    table["seconds"] = [f"{s:.2f}" if s == s else "" for s in table["seconds"]]
    with pd.option_context("display.max_colwidth", None, "display.width", 1000):
        print(table.to_string(index=False))
    print("\nWarnings")
    for row in rows:
        for sentence in row.warnings:
            print(f"  {row.set}, {row.law}: {sentence}")


def datablations() -> Iterator[Row]:
    """arXiv:2305.16264: with the published surface fixed, then all parameters free."""
    runs = pd.read_csv(folder() / "datablations" / "c4_fit_182.csv")
    surface = {
        "E": np.exp(0.6254804),
        "A": np.exp(6.255414),
        "alpha": 0.3526596,
        "B": np.exp(7.3049974),
        "beta": 0.3526596,
    }
    published = ("objective .0158259, R_D 15.388, R_N 5.310", "objective .0158259")
    cases = {"surface held": {"fixed": surface}, "all free": {"tied": {"beta": "alpha"}}}
    for text, (case, options) in zip(published, cases.items(), strict=True):
        seconds, fit = timed(lambda o=options: analysis.fit("data_constrained", runs, **o))
        basins = ", ".join(f"{value:.5f} ({part:.0%})" for value, part in fit.diagnosis.basins[:3])
        ours = f"objective {fit.objective:.7f}, {values(fit, 'R_D', 'R_N')}; basins {basins}"
        yield Row(
            f"datablations, {case}",
            "data_constrained",
            text,
            ours,
            intervals(fit, "R_D", "R_N"),
            seconds=seconds,
            warnings=fit.warnings,
        )


def parscale() -> Iterator[Row]:
    """arXiv:2505.10475, one fit a corpus."""
    published = {
        "stack_v2_python": "E .69129, alpha .18940, k .39343; objective 3.6767e-5",
        "pile": "E 1.28885, alpha .19636, k .33443; objective 1.81394e-5",
    }
    points = pd.read_csv(folder() / "parscale" / "parscale_points.csv")
    for corpus, text in published.items():
        some = points[points.corpus == corpus].rename(columns={"params": "N"})
        seconds, fit = timed(lambda s=some: analysis.fit("parscale", s))
        ours = f"{values(fit, 'E', 'alpha', 'k')}; objective {fit.objective:.5e}"
        yield Row(
            f"parscale, {corpus}",
            "parscale",
            text,
            ours,
            intervals(fit, "E", "alpha", "k"),
            *held_out("parscale", some, "N", some.N.max()),
            seconds,
            fit.warnings,
        )


def gadre() -> Iterator[Row]:
    """arXiv:2403.08540: five small runs of each corpus to 1.4B; errors from losses."""
    table = pd.read_csv(folder() / "gadre" / "gadre_models.csv")
    table = table.rename(columns={"loss_c4_val": "loss", "err_avg": "error"})
    for corpus, runs in table.groupby("dataset_name"):
        few = runs[(runs.tok_mult == 20) | ((runs.tok_mult == 320) & (runs.N < 2e7))]
        for law, points in {"overtrained": few, "task_error": runs}.items():
            seconds, fit = timed(lambda x=law, p=points: analysis.fit(x, p[p.N < 1e9]))
            names = ("E", "eta") if law == "overtrained" else ("eps", "gamma")
            yield Row(
                f"gadre, {corpus}",
                law,
                "",
                values(fit, *names),
                intervals(fit, *names),
                *scored(fit, points[points.N > 1e9]),
                seconds,
                fit.warnings,
            )


LADDER = {
    "mmlu": (
        "mmlu_stem_test",
        "mmlu_humanities_test",
        "mmlu_social_sciences_test",
        "mmlu_other_test",
    ),
    "hellaswag": ("hellaswag_val",),
    "arc_challenge": ("arc_challenge_test",),
    "arc_easy": ("arc_easy_test",),
    "piqa": ("piqa_val",),
    "csqa": ("csqa_val",),
    "socialiqa": ("socialiqa_val",),
    "openbookqa": ("openbookqa_test",),
}
LADDER_SIZES = {
    "190M": 190354176,
    "370M": 371262464,
    "760M": 758220288,
    "1B": 1279395840,
    "3B": 3169537280,
}


def olmo_ladder() -> Iterator[Row]:
    """arXiv:2412.04403: accuracy of 3B models on eight tasks from models of 190M to 1B."""
    models = {task: ladder_task(columns) for task, columns in LADDER.items()}
    small = {task: table[table.N < 2e9] for task, table in models.items()}
    ratio = times_as_long(
        lambda: [analysis.task_chain(t) for t in small.values()],
        lambda: analysis.task_chains(small),
    )
    without, _ = timed(lambda: analysis.task_chains(small, resamples=0), repeats=2)
    seconds, together = timed(lambda: analysis.task_chains(small), repeats=2)
    errors, inside = [], []
    for task, chain in together.chains.items():
        large = models[task][models[task].N > 2e9]
        ahead = chain.predict(large, LEVEL)
        errors.append(np.abs(ahead.accuracy - large.accuracy))
        inside.append(large.accuracy.between(ahead.lower, ahead.upper))
        yield Row(
            f"olmo_ladder, {task}",
            "task_chain",
            "",
            values(chain.accuracy, "low", "high", "k"),
            intervals(chain.accuracy, "low", "high"),
            points_of_accuracy(errors[-1]),
            covered(inside[-1]),
            warnings=(*chain.loss.warnings, *chain.accuracy.warnings),
        )
    yield Row(
        "olmo_ladder, 8 tasks",
        "task_chain",
        "4 of 8 tasks within 2 points (7B and 13B)",
        f"{sum(e.mean() < 0.02 for e in errors)} of 8 tasks within 2 points (3B); without intervals"
        f" {without:.2f} s; a task at a time takes {ratio:.2f} times as long",
        "",
        points_of_accuracy(pd.concat(errors)),
        covered(pd.concat(inside)),
        seconds,
    )


def ladder_task(columns: tuple[str, ...]) -> pd.DataFrame:
    """N, D, loss (bits per byte) and accuracy of the finished models on a task."""
    steps = pd.read_parquet(folder() / "olmo_ladder" / "ladder_runs.parquet")
    steps = steps.sort_values("_step", kind="stable")
    last = steps[~steps.run.str.contains("rerun")].groupby("run").tail(1)
    losses = [f"eval/downstream_bpb/{name}_rc_5shot_bpb" for name in columns]
    accuracies = [f"eval/downstream/{name}_rc_5shot_len_norm" for name in columns]
    return pd.DataFrame(
        {
            "N": last.run.str.split("-").str[0].map(LADDER_SIZES).astype(float),
            "D": last["throughput/total_tokens"].astype(float),
            "task_loss": last[losses].mean(axis=1).astype(float),
            "accuracy": last[accuracies].mean(axis=1).astype(float),
        }
    )


def steplaw() -> Iterator[Row]:
    """arXiv:2503.04715: regret of the chosen learning rate and batch, over 17 sweeps."""
    runs = pd.read_csv(folder() / "steplaw" / "dense_lr_bs_loss.csv").astype({"N": float})
    runs = runs.assign(batch=2048.0 * runs.bs, loss=runs["smooth loss"])
    seconds, laws = timed(lambda: analysis.lr_batch(runs))
    theirs = analysis.regret(
        laws.sweep, 1.79 * runs.N**-0.713 * runs.D.astype(float) ** 0.307, 0.58 * runs.D**0.571
    )
    ours = laws.regret()
    yield Row(
        "steplaw",
        "lr_batch",
        f"regret mean {theirs.mean():.3%}, largest {theirs.max():.2%}",
        f"regret mean {ours.mean():.3%}, largest {ours.max():.2%}; {values(laws.lr, 'a', 'b')},"
        f" {values(laws.batch, 'e')}",
        f"{intervals(laws.lr, 'a', 'b')}, {intervals(laws.batch, 'e')}",
        regret_of_largest(runs),
        "",
        seconds,
        (*laws.lr.warnings, *laws.batch.warnings),
    )


def regret_of_largest(runs: pd.DataFrame) -> str:
    """Regret on the sweeps of the largest model, from laws of the smaller ones."""
    large = runs.N >= runs.N.max()
    whole = analysis.lr_batch(runs, resamples=0).sweep
    chosen = analysis.lr_batch(runs[~large], resamples=0).predict(runs[large])
    cost = analysis.regret(whole[large], chosen.lr, chosen.batch)
    return f"regret of the largest N {cost.mean():.3%}"


OWN = {"fineweb-100b": "fineweb_100b", "slimpajama-chunk1": "slimpajama", "starcoder": "starcoder"}


def loss_to_loss() -> Iterator[Row]:
    """arXiv:2411.12925: the two largest budgets from the smaller, on and between corpora."""
    table = pd.read_csv(folder() / "loss_to_loss" / "sweep.csv")
    table = table.rename(columns={"params": "N", "tokens": "D", "iso_flop": "C"})
    runs, floors = {}, {}
    for data, name in OWN.items():
        some = table[table.data == data].assign(loss=table[f"eval/{name}_val/CrossEntropyLoss"])
        runs[name] = some.dropna(subset="loss")[["N", "D", "C", "loss"]]
        yield from extrapolated(f"loss_to_loss, {name}", runs[name], floors)
    for a, b in (("fineweb_100b", "slimpajama"), ("fineweb_100b", "starcoder")):
        known = runs[a].rename(columns={"loss": "loss_a"})[["N", "C", "loss_a"]]
        pairs = known.merge(runs[b][["N", "C", "loss"]], on=["N", "C"])
        held = pairs.C >= largest_budgets(pairs.C)
        fixed = {"E_a": floors[f"loss_to_loss, {a}"], "E_b": floors[f"loss_to_loss, {b}"]}
        seconds, fit = timed(
            lambda p=pairs[~held], f=fixed: analysis.fit("loss_to_loss", p, fixed=f)
        )
        yield Row(
            f"loss_to_loss, {a} to {b}",
            "loss_to_loss",
            "",
            values(fit, "K", "kappa"),
            intervals(fit, "K", "kappa"),
            *scored(fit, pairs[held]),
            seconds,
            fit.warnings,
        )


def isoflops() -> Iterator[Row]:
    """Chinchilla's and Marin's IsoFLOP sweeps: the two largest budgets from the smaller ones."""
    names = {"params": "N", "tokens": "D", "budget": "C"}
    sweeps = pd.read_csv(folder() / "isoflops" / "isoflops.csv").rename(columns=names)
    for name, runs in sweeps[~sweeps.outlier].groupby("experiment"):
        short = "isoflops, " + ("comma" if "comma" in name else "chinchilla")
        yield from extrapolated(short, runs[["N", "D", "C", "loss"]], {})


def extrapolated(name: str, runs: pd.DataFrame, floors: dict[str, float]) -> Iterator[Row]:
    """Chinchilla's law and the joint one, fitted below the two largest budgets."""
    held = runs.C >= largest_budgets(runs.C)
    for law in ("chinchilla", "skaling"):
        seconds, fit = timed(lambda x=law: analysis.fit(x, runs[~held]))
        if law == "chinchilla":
            floors[name] = fit.params["E"]
        yield Row(
            name,
            law,
            "",
            values(fit, "E", "alpha", "beta"),
            intervals(fit, "E", "alpha", "beta"),
            *scored(fit, runs[held]),
            seconds,
            fit.warnings,
        )


def largest_budgets(budgets: pd.Series, count: int = 2) -> float:
    """The smallest of the largest few budgets."""
    return float(np.sort(budgets.unique())[-count])


def held_out(law: str, points: pd.DataFrame, by: str, value: float) -> tuple[str, str]:
    """Error and coverage of the points from a value on, by a fit to the others."""
    held = points[by] >= value
    return scored(analysis.fit(law, points[~held]), points[held])


def scored(fit: Result, points: pd.DataFrame) -> tuple[str, str]:
    """Mean absolute and mean error with the number of points; share inside the intervals."""
    ahead, measured = fit.predict(points, LEVEL), points[fit.law.response]
    scale = fit.scale
    error = scale.error(scale.of(ahead[fit.law.response]) - scale.of(measured))
    text = f"{scale.say(np.abs(error).mean())} ({scale.say(error.mean(), sign='+')})"
    inside = measured.between(ahead.lower, ahead.upper)
    return f"{text}, {len(points)} points", covered(inside) if ahead.lower.notna().all() else "none"


def points_of_accuracy(error: pd.Series) -> str:
    return f"{100 * error.mean():.1f} points, largest {100 * error.max():.1f}"


def covered(inside: pd.Series) -> str:
    return f"{inside.sum()} of {len(inside)}"


def values(fit: Result, *names: str) -> str:
    return ", ".join(f"{name} {fit.params[name]:.5g}" for name in names)


def intervals(fit: Result, *names: str) -> str:
    ends = [(name, *fit.interval(name, LEVEL)) for name in names]
    if not np.isfinite([end for _, *both in ends for end in both]).all():
        return "none: too few points"
    return ", ".join(f"{name} {low:.4g} to {high:.4g}" for name, low, high in ends)


def folder() -> Path:
    """Where the published runs are."""
    default = Path(__file__).parents[1].parent / "shared" / "data"
    found = Path(os.environ.get("SCALING_PUBLIC_DATA", default))
    if not found.is_dir():
        raise SystemExit("no published runs: set SCALING_PUBLIC_DATA to their folder")
    return found


def timed(work: Callable, repeats: int = 2) -> tuple[float, object]:
    """Processor seconds of the fastest call (other jobs may share the machine), and its result."""
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        value = work()
        seconds.append(time.process_time() - began)
    return min(seconds), value


def times_as_long(slow: Callable, fast: Callable, rounds: int = 7) -> float:
    """Median ratio of the processor times of two calls that take turns."""
    ratios = []
    for k in range(rounds):
        first, second = (slow, fast) if k % 2 else (fast, slow)
        seconds = {first: timed(first, 1)[0], second: timed(second, 1)[0]}
        ratios.append(seconds[slow] / seconds[fast])
    return float(np.median(ratios))


SETS: dict[str, Callable[[], Iterator[Row]]] = {
    "datablations": datablations,
    "parscale": parscale,
    "gadre": gadre,
    "olmo_ladder": olmo_ladder,
    "steplaw": steplaw,
    "loss_to_loss": loss_to_loss,
    "isoflops": isoflops,
}


if __name__ == "__main__":
    main()
