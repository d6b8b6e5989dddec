"""Laws of experts, streams and vocabularies on ScaleBench's splits, beside published scores.

    OMP_NUM_THREADS=1 python benchmarks/scalebench.py [--only moe] [--repeats 10] [--theirs]

ScaleBench (arXiv:2604.22753) gives each task a pool of runs that may be made and costly runs that
are predicted. The score is R² on the costly runs, all groups together, no lower than -1. A budget
is a share of the pool's cost, spent run by run in an order: at random or from the cheapest on; a
run that would pass the budget waits for the next one. Where there are too few runs to fit, R² is
-1.

Laws: the published ones of each task as they stand in `analysis.LAWS`, by the fitter's default
objective and by least squares, and with `--theirs` the ten forms that ScaleBench fits to a task
(`scalebench_laws`), by least squares as it does; a figure of theirs is the mean over the ten.

Nothing is chosen on the costly runs: all laws, both objectives and all orders are printed.
Needs the published runs: set SCALING_PUBLIC_DATA to their folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scalebench_laws import THEIRS
from surface_sets import folder

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.errors import UserError

BUDGETS = (0.01, 0.05, 0.1)
WORST = -1.0


@dataclass(frozen=True)
class Task:
    """One of the tasks.

    Attributes
    ----------
    law : str
        The law of the paper that published the runs.
    columns : dict of str to str
        Column of the law -> column of the table.
    cost : tuple of str
        Columns of the table whose product is the cost of a run.
    published : dict of str to tuple
        Order of the runs -> R² at the budgets, as published.
    """

    law: str
    columns: dict[str, str]
    cost: tuple[str, ...]
    published: dict[str, tuple[float, ...]] = field(repr=False)


TASKS = {
    "moe": Task(
        "routed",
        {"n_active": "dense_parameter_count", "experts": "num_experts", "loss": "loss_validation"},
        ("dense_parameter_count", "num_experts"),
        {
            "random": (-0.47, 0.01, 0.26),
            "cheapest": (0.30, 0.74, 0.81),
            "best of theirs": (0.67, 0.80, 0.83),
            "all": (0.81,),
        },
    ),
    "parallel": Task(
        "parscale",
        {"N": "num_params", "P": "parallel_size"},
        ("num_params",),
        {
            "random": (-1.0, 0.27, 0.19),
            "cheapest": (-1.0, 0.42, 0.42),
            "best of theirs": (-1.0, 0.77, 0.99),
            "all": (0.99,),
        },
    ),
    "vocab": Task(
        "vocabulary",
        {"N": "non_vocab_parameters", "D": "tokens", "loss": "unigram_normalized_loss"},
        ("non_vocab_parameters", "num_characters"),
        {
            "random": (0.54, 0.53, 0.59),
            "cheapest": (0.30, 0.53, 0.55),
            "best of theirs": (0.96, 0.98, 0.98),
            "all": (0.93,),
        },
    ),
}


def main() -> None:
    """Print a table a task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only tasks whose name has this in it")
    parser.add_argument("--repeats", type=int, default=10, help="number of random orders")
    parser.add_argument("--theirs", action="store_true", help="fit ScaleBench's ten forms, too")
    asked = parser.parse_args()
    for name in (n for n in TASKS if asked.only in n):
        print(pd.DataFrame(rows(name, asked.repeats, asked.theirs)).to_string(index=False))


def rows(name: str, repeats: int, theirs: bool) -> Iterator[dict[str, str]]:
    """Rows of a task: the published scores, then ours."""
    task = TASKS[name]
    for rule, values in task.published.items():
        yield _row(name, "theirs, mean of ten", rule, np.array(values)[None])
    pool, target = read(name, "train"), read(name, "test")
    fits: dict[str, tuple[Sequence[str | Law], str | None]] = {}
    for law in [LAWS[task.law], *([one_length()] if name == "moe" else [])]:
        fits |= {law.name: ([law], None), f"{law.name}, squares": ([law], "least_squares")}
    if theirs:
        fits["their ten, squares"] = (THEIRS[name], "least_squares")
    for label, (laws, objective) in fits.items():
        for rule, orders in (("random", repeats), ("cheapest", 1)):
            scores = [
                [score(law, seen, target, objective) for seen in spent(pool, rule, seed)]
                for seed in range(orders)
                for law in laws
            ]
            yield _row(name, label, rule, np.array(scores))
        whole = [[score(law, pool, target, objective)] for law in laws]
        yield _row(name, label, "all", np.array(whole))


def _row(task: str, law: str, rule: str, scores: np.ndarray) -> dict[str, str]:
    names = [f"{budget:.0%}" for budget in BUDGETS] if rule != "all" else ["all"]
    shown = {
        name: f"{values.mean():.3f}" + (f" ± {values.std():.3f}" if len(values) > 1 else "")
        for name, values in zip(names, scores.T, strict=True)
    }
    return (
        {"task": task, "law": law, "runs": rule}
        | dict.fromkeys(("1%", "5%", "10%", "all"), "")
        | shown
    )


def one_length() -> Law:
    """The form of `joint_moe` for models with equal numbers of tokens, here 1.3e11."""
    whole = LAWS["joint_moe"]

    def value(**given: np.ndarray) -> np.ndarray:
        return whole.value(D=1.3e11, beta=0.0, zeta=0.0, **given)

    return replace(
        whole,
        name="joint_moe, one length",
        columns={name: text for name, text in whole.columns.items() if name != "D"},
        parameters=tuple(p for p in whole.parameters if p.name not in ("beta", "zeta")),
        value=value,
        guess=None,
        linear=("a", "b", "c"),
        reference={},
    )


def read(name: str, part: str) -> pd.DataFrame:
    """Pool ("train") or costly runs ("test") of a task, with the law's columns and `cost`."""
    task = TASKS[name]
    table = pd.read_parquet(folder() / "scalebench" / f"{name}_{part}.parquet")
    if name == "vocab":
        table = _with_tokens(table)
    cost = table[list(task.cost)].astype(float).prod(axis=1)
    named = table.rename(columns={theirs: ours for ours, theirs in task.columns.items()})
    return named.assign(cost=cost, unigram_loss=named["loss"])


def _with_tokens(table: pd.DataFrame) -> pd.DataFrame:
    """Width and tokens of a run, which ScaleBench leaves out: as the law's authors count them.

    The width goes with the size; the tokens of a character are a parabola in log V.
    """
    limits, widths = [5e7, 2e8, 5e8, 1e9], np.array([512, 768, 1024, 1536, 2048])
    width = widths[np.searchsorted(limits, table["non_vocab_parameters"])]
    log_V = np.log(table["vocab_size"])
    rate = 0.00639222 * log_V**2 - 0.15811069 * log_V + 1.20470122
    return table.assign(N_vocab=width * table["vocab_size"], tokens=rate * table["num_characters"])


def spent(pool: pd.DataFrame, rule: str, seed: int) -> list[pd.DataFrame]:
    """The runs within each budget, group by group."""
    bought: list[list[pd.DataFrame]] = [[] for _ in BUDGETS]
    for k, (_, group) in enumerate(pool.groupby("group")):
        if rule == "cheapest":
            group = group.sort_values("cost", kind="stable")
        else:
            group = group.sample(frac=1, random_state=1000 * seed + k)
        for at, count in enumerate(_counts(group["cost"].to_numpy())):
            bought[at].append(group.iloc[:count])
    return [pd.concat(groups) for groups in bought]


def _counts(cost: np.ndarray) -> Iterator[int]:
    """Number of runs within each budget, in order; a run beyond it waits for the next."""
    count, paid, waits = 0, 0.0, False
    for budget in BUDGETS:
        limit = budget * cost.sum()
        if waits:
            paid, count, waits = paid + cost[count], count + 1, False
        while paid < limit and count < len(cost):
            if paid + cost[count] > limit:
                waits = True
                break
            paid, count = paid + cost[count], count + 1
        yield count


def score(law: str | Law, seen: pd.DataFrame, target: pd.DataFrame, objective: str | None) -> float:
    """R² on the costly runs, of a law fitted to each group of the cheaper runs."""
    predicted = pd.Series(np.nan, target.index)
    for name, ahead in target.groupby("group"):
        try:
            # Some of their forms overflow at the ends of their bounds.
            with np.errstate(all="ignore"):
                own = seen[seen["group"] == name]
                fit = analysis.fit(law, own, resamples=0, objective=objective)
                predicted[ahead.index] = fit.predict(ahead)[fit.law.response]
        except UserError:
            return WORST
    return r_squared(target["loss"].to_numpy(), predicted.to_numpy())


def r_squared(measured: np.ndarray, predicted: np.ndarray) -> float:
    """R², no lower than -1; -1 where a prediction is no number."""
    if not np.isfinite(predicted).all():
        return WORST
    left, spread = measured - predicted, measured - measured.mean()
    return float(max(1 - left @ left / (spread @ spread), WORST))


if __name__ == "__main__":
    main()
