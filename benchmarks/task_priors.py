"""Default priors of task chains, chosen on other suites than the one used for the score.

    OMP_NUM_THREADS=1 python benchmarks/task_priors.py choose    # 17 tasks and 12 tasks
    OMP_NUM_THREADS=1 python benchmarks/task_priors.py intervals # what misses of the largest add
    OMP_NUM_THREADS=1 python benchmarks/task_priors.py score     # eight tasks of the OLMo ladder

Protocol, fixed before either was run:

* Suites to choose on: arXiv:2411.12925 (losses on 17 tasks, three corpora; the two largest budgets
  held out) and arXiv:2403.08540 (the loss on C4 in place of the task's, every fourth of 46 tasks by
  name, two corpora; 1.4B held out).
* A fold is a task, with all its corpora and in both suites: its candidate, with centre and spread
  of exponents, is chosen on the other tasks.
* Candidates: the accuracy at loss 0 known to be 1 within one of `WIDTHS`, or not; exponents of the
  loss known to be the median of those of other tasks, within one or two times their spread, or not.
* Chosen is the least mean 95 % interval score of accuracies (mean over tasks, then over suites).
* `intervals`: the chains of both suites as they are, and as they would be if they did not know by
  how much they miss their largest models without them; tasks without intervals are counted apart.
* `score` fits models of up to 1B on the OLMo ladder and predicts 3B (arXiv:2412.04403).

Needs the published runs: set SCALING_PUBLIC_DATA to their folder.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from references import LADDER, folder, ladder_task

from scalinglab import analysis
from scalinglab.analysis.fitting.task_chain import TaskChain

LEVEL = 0.95
WIDTHS = (np.inf, 0.4, 0.2, 0.1, 0.05, 0.02)
SPREADS = (np.inf, 2.0, 1.0)
RESAMPLES = 200
PROCESSES = 3
ROUNDS = 2
METRICS = {"arc_easy": "acc", "boolq": "acc", "sciq": "acc", "winogrande": "acc"}  # or len_norm


@dataclass(frozen=True)
class Case:
    """One task of one corpus: the fitted and the predicted runs."""

    suite: str
    corpus: str
    task: str
    fitted: pd.DataFrame
    held: pd.DataFrame


def cases() -> Iterator[Case]:
    """Every task and corpus of both suites."""
    table = pd.read_csv(folder() / "loss_to_loss" / "sweep.csv")
    names = [c.split("/")[-1].removesuffix("_test_ce_loss") for c in table if "ce_loss/" in c]
    for corpus, runs in table.groupby("data"):
        held = runs.iso_flop >= runs.iso_flop.drop_duplicates().nlargest(2).min()
        for name in names:
            task = name.removesuffix("_ce_loss")
            middle = "" if task.startswith("imbue") else "_test"
            points = pd.DataFrame(
                {
                    "N": runs.params.astype(float),
                    "D": runs.tokens,
                    "task_loss": runs[f"eval/downstream_ce_loss/{task}{middle}_ce_loss"],
                    "accuracy": runs[
                        f"eval/downstream/{task}{middle}_{METRICS.get(task, 'len_norm')}"
                    ],
                }
            )
            yield Case(
                "2411.12925",
                corpus,
                task.replace("openbook_qa", "openbookqa"),
                points[~held],
                points[held],
            )
    table = pd.read_csv(folder() / "gadre" / "gadre_models.csv")
    for corpus, runs in table.groupby("dataset_name"):
        held = runs.N > 1e9
        for column in sorted(c for c in runs if c.startswith("err_") and "avg" not in c)[::4]:
            points = runs[["N", "D"]].astype(float)
            points = points.assign(task_loss=runs.loss_c4_val, accuracy=1 - runs[column])
            yield Case(
                "2403.08540",
                corpus,
                column[4:].replace("openbook_qa", "openbookqa"),
                points[~held],
                points[held],
            )


def centres(exponents: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Median and spread (1.48 median deviations) of the exponents that fits found."""
    middle = exponents.median()
    spread = 1.4826 * (exponents - middle).abs().median()
    return {name: (float(middle[name]), float(spread[name])) for name in exponents}


def choose() -> None:
    """Print the score of every candidate, and the candidate chosen for each task by the others."""
    everything = list(cases())
    exponents = pd.DataFrame(
        [{"task": case.task, **free_exponents(case)} for case in everything if "2411" in case.suite]
    )
    said = centres(exponents[["alpha", "beta"]])
    print("exponents of the losses, median and spread:", said, flush=True)
    others = [exponents[exponents.task != case.task] for case in everything]
    known = [centres(some[["alpha", "beta"]]) for some in others]
    with ProcessPoolExecutor(PROCESSES) as pool:
        rows = [row for rows in pool.map(scored, everything, known) for row in rows]
    scores = pd.DataFrame(rows)
    print(by_candidate(scores).round(4).to_string())
    print(left_out(scores))


def free_exponents(case: Case) -> dict[str, float]:
    """The exponents of a loss, of the fitted runs without priors."""
    names = {"loss": "task_loss"}
    fitted = analysis.fit("chinchilla", case.fitted, columns=names, delta=0.01, resamples=0)
    return {name: fitted.params[name] for name in ("alpha", "beta")}


def scored(case: Case, known: dict[str, tuple[float, float]]) -> list[dict]:
    """Error and interval score of every candidate."""
    losses, rows = {}, []
    for spread in SPREADS:
        priors = {n: (m, s * spread) for n, (m, s) in known.items()} if np.isfinite(spread) else {}
        losses[spread] = analysis.fit(
            "chinchilla",
            case.fitted,
            columns={"loss": "task_loss"},
            delta=0.01,
            resamples=RESAMPLES,
            priors=priors,
        )
    for width in WIDTHS:
        priors = {"high": (1.0, width)} if np.isfinite(width) else {}
        accuracy = analysis.fit(
            "task_accuracy", case.fitted, delta=0.01, resamples=RESAMPLES, priors=priors
        )
        for spread, loss in losses.items():
            ahead = TaskChain(loss, accuracy).predict(case.held, LEVEL)
            own = {"suite": case.suite, "corpus": case.corpus, "task": case.task}
            scores = scores_of(ahead, case.held.accuracy)
            rows.append({**own, "width": width, "spread": spread, **scores})
    return rows


def scores_of(ahead: pd.DataFrame, measured: pd.Series) -> dict[str, float]:
    """Mean absolute error, share inside and interval score, in accuracy."""
    below, above = np.maximum(ahead.lower - measured, 0), np.maximum(measured - ahead.upper, 0)
    score = ahead.upper - ahead.lower + 2 / (1 - LEVEL) * (below + above)
    return {
        "error": float((ahead.accuracy - measured).abs().mean()),
        "inside": float(measured.between(ahead.lower, ahead.upper).mean()),
        "score": float(score.mean()),
    }


def by_candidate(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over tasks, then over suites."""
    of_task = scores.groupby(["suite", "task", "width", "spread"])[
        ["error", "inside", "score"]
    ].mean()
    return of_task.groupby(["suite", "width", "spread"]).mean().groupby(["width", "spread"]).mean()


def left_out(scores: pd.DataFrame) -> str:
    """Scores of each task with the candidate chosen on the others, and without priors."""
    ours, free, chosen = [], [], []
    for task, own in scores.groupby("task"):
        best = by_candidate(scores[scores.task != task]).score.idxmin()
        chosen.append(best)
        for case in (own.set_index(["width", "spread"]),):
            ours.append(case.loc[[best], ["error", "inside", "score"]].mean())
            free.append(case.loc[[(np.inf, np.inf)], ["error", "inside", "score"]].mean())
    table = pd.DataFrame(
        {"chosen by others": pd.DataFrame(ours).mean(), "no priors": pd.DataFrame(free).mean()}
    )
    return f"{table.round(4).to_string()}\n{pd.Series(chosen).value_counts().to_string()}"


def intervals() -> None:
    """Share inside and interval score, with and without the misses of the largest models."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        scores = pd.DataFrame([row for rows in pool.map(both_intervals, cases()) for row in rows])
    withheld = scores.score.isna()
    given = scores[~withheld].groupby(["misses", "suite", "task"])[["inside", "width", "score"]]
    print(given.mean().groupby(["misses", "suite"]).mean().round(4).to_string())
    print(given.mean().groupby(["misses", "suite"]).mean().groupby("misses").mean().round(4))
    without = scores[withheld].groupby(["suite", "task"]).size() // 2
    print("corpora without intervals:", without.to_dict())


def both_intervals(case: Case) -> list[dict]:
    """Scores of a task with what it misses of its largest models, and without."""
    chain = analysis.task_chain(case.fitted, resamples=RESAMPLES)
    rows = []
    for misses, some in {"with": chain, "without": replace(chain, missed=None)}.items():
        ahead = some.predict(case.held, LEVEL)
        scores = scores_of(ahead, case.held.accuracy)
        width = float((ahead.upper - ahead.lower).mean())
        rows.append({"suite": case.suite, "task": case.task, "misses": misses, "width": width})
        rows[-1] |= scores
    return rows


def score() -> None:
    """The ladder with the default priors and without, and the time of eight tasks in one batch."""
    models = {task: ladder_task(columns) for task, columns in LADDER.items()}
    small = {task: table[table.N < 2e9] for task, table in models.items()}
    for name, options in {"default priors": {}, "no priors": {"priors": "none"}}.items():
        seconds = []
        for _ in range(ROUNDS):
            began = time.process_time()
            chains = {task: analysis.task_chain(t, **options) for task, t in small.items()}
            seconds.append(time.process_time() - began)
        rows = {}
        for task, chain in chains.items():
            large = models[task][models[task].N > 2e9]
            rows[task] = scores_of(chain.predict(large, LEVEL), large.accuracy)
        table = pd.DataFrame(rows).T
        print(f"\n{name}: {min(seconds):.2f} to {max(seconds):.2f} s of the processor")
        print(table.assign(error=100 * table.error).round(3).to_string())
        print(
            f"mean {100 * table.error.mean():.2f} points,"
            f" {(table.error < 0.02).sum()} of 8 within 2"
        )


if __name__ == "__main__":
    for part in sys.argv[1:] or ("choose", "score"):
        {"choose": choose, "intervals": intervals, "score": score}[part]()
