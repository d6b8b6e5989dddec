"""The largest budgets of published surfaces, predicted from the smaller ones.

    OMP_NUM_THREADS=1 python benchmarks/held_out.py [--only WORD] [--role ROLE] [--to TABLE.csv]
    python benchmarks/held_out.py --small [--points]
    python benchmarks/held_out.py --from TABLE.csv

Folds: of each surface of `surface_sets` the largest 1, 2 and 3 budgets are held out ("top 1", "top
2", "top 3"). A fold needs ten points, three budgets, and three values of N and of D below it; the
others are named and left out. `--folder` adds the CSV files of a folder as sets that are only
scored: columns `N`, `D`, `loss` and, where there are some, `C` (a named budget) and `run`.

Answers: every law of N and D alone (`LAWS`), the one that `compare_laws` would choose from what
the fold has seen (`chosen`), and the mixture of `law=auto` (`auto`). `DEFAULT` is the fixed
default.

Choice: root mean square of the log errors over the points of all folds, at least the noise of
seeds, beside that of the best single law over *all* folds, which cannot be known beforehand.
Intervals: those of the fixed default and of `auto`, 95 %, 199 resamples. Coverage counts groups:
one size of one corpus in one fold. Beside the mean interval score stands that of split-conformal
intervals on the same folds: half a width is the conformal quantile of the answer's own errors when
the largest 1, 2 and 3 of the budgets that the fold has seen were held out in turn.

`--small` uses the small development sets of `small_sets` instead, `--points` computes no intervals.

No default is chosen on a set whose role is `test`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
from scoring import (
    conformal_interval,
    contained,
    coverage,
    floored_rms,
    interval_scores,
    log_errors,
)
from small_sets import small_surfaces
from surface_sets import DEVELOPMENT, TEST, Surface, surfaces

from scalinglab import analysis
from scalinglab.scaling.errors import UserError

LAWS = ("chinchilla", "kaplan_nd", "skaling", "overtrained", "farseer")
DEFAULT = "chinchilla"
TOPS = (1, 2, 3)
RESAMPLES, LEVEL = 199, 0.95
_WITH_INTERVALS = (DEFAULT, "auto")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_Set = TypeVar("_Set", bound=_Named)


def main() -> None:
    """Print a table a set and a summary."""
    parser = parser_of_sets(__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small development sets")
    parser.add_argument("--points", action="store_true", help="predictions without intervals")
    parser.add_argument("--folder", type=Path, help="CSV files of further surfaces")
    asked = parser.parse_args()
    if asked.stored:
        answers = pd.read_csv(asked.stored)
    else:
        some = small_surfaces(asked.only) if asked.small else surfaces(asked.only, asked.folder)
        chosen = [surface for surface in some if asked.role in (None, surface.role)]
        tables = answers_of_each(chosen, lambda s: answers_of(s, asked.points), asked.to)
        answers = pd.concat(tables, ignore_index=True)
    with pd.option_context("display.width", 1000, "display.max_columns", None):
        show(answers)


def parser_of_sets(description: str) -> argparse.ArgumentParser:
    """Options that choose published sets, and where their answers are written and read again."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", default="", help="only sets whose name contains this")
    parser.add_argument("--role", choices=(DEVELOPMENT, TEST), help="only sets of this role")
    parser.add_argument("--to", type=Path, help="write the answers there, one row per point")
    parser.add_argument(
        "--from", dest="stored", type=Path, help="read answers that were written before"
    )
    return parser


def answers_of_each(
    sets: Sequence[_Set], answer: Callable[[_Set], pd.DataFrame], to: Path | None
) -> Iterator[pd.DataFrame]:
    """The answers of each set, also appended to a file: an interrupt loses at most one set."""
    for k, each in enumerate(sets):
        began = time.process_time()
        answers = answer(each)
        if to:
            answers.to_csv(to, index=False, header=k == 0, mode="a" if k else "w")
        yield answers
        print(f"{each.name}: {time.process_time() - began:.0f} s", flush=True)


# ---- answers: one row a point, answer, and number of budgets held out


def answers_of(surface: Surface, points: bool = False) -> pd.DataFrame:
    """All answers at all held-out points; with `points` no intervals.

    A fold's own earlier folds hold out as many budgets again, so up to twice as many are left out.
    """
    runs, tables = surface.runs, []
    last = runs.budget.max()
    for out in TOPS if points else range(1, 2 * max(TOPS) + 1):
        seen = runs.budget <= last - out
        if not enough(runs[seen]):
            if out in TOPS:
                print(f"{surface.name}, top {out}: too few points are left", flush=True)
            continue
        for name, predicted in _answers(runs, seen, out in TOPS, points):
            table = runs.loc[~seen, ["N", "D", "C", "budget", "loss"]].assign(
                **predicted, answer=name, out=out
            )
            tables.append(table)
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables).rename_axis("point").reset_index()
    size = {N: rank for rank, N in enumerate(np.unique(runs.N))}
    return table.assign(
        set=surface.name,
        role=surface.role,
        corpus=surface.corpus,
        noise=surface.noise,
        last=last,
        size=table.N.map(size),
    )


def enough(seen: pd.DataFrame) -> bool:
    """Whether a fold has enough points to fit."""
    return len(seen) >= 10 and min(seen.budget.nunique(), seen.N.nunique(), seen.D.nunique()) >= 3


def _answers(
    runs: pd.DataFrame, seen: pd.Series, chosen_too: bool, points: bool
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The predictions of each answer for held-out points, with an interval where one is scored."""
    few, ahead = runs[seen].drop(columns="budget"), runs[~seen]
    predicted = {}
    for law in (*LAWS, "auto"):
        if law == "auto" and not chosen_too and "auto" not in _WITH_INTERVALS:
            continue
        resamples = RESAMPLES if law in _WITH_INTERVALS and not points else 0
        try:
            fit = analysis.fit(law, few, resamples=resamples)
            table = fit.predict(ahead, level=LEVEL if resamples else None)
        except UserError:
            continue  # no such law, or it needs more points
        names = ["lower", "upper"] if resamples else []
        predicted[law] = {"predicted": table.loss.to_numpy()}
        predicted[law] |= {name: table[name].to_numpy() for name in names}
        yield law, predicted[law]
    if chosen_too:
        fitted = [law for law in LAWS if law in predicted]
        try:
            winner = analysis.compare_laws(fitted, few, by="C", resamples=0).winner
        except UserError:
            winner = DEFAULT  # nothing can be compared
        yield "chosen", {"predicted": predicted[winner]["predicted"]}


# ---- scores


def choice_scores(answers: pd.DataFrame) -> pd.DataFrame:
    """Floored root mean square log error of each answer over all folds of a set, one row a set."""
    folds = answers[answers.out.isin(TOPS)]
    errors = folds.assign(error=log_errors(folds.loss, folds.predicted))
    points = folds.groupby("set").apply(
        lambda some: len(some[some.answer == DEFAULT]), include_groups=False
    )
    rows = {}
    for (name, answer), some in errors.groupby(["set", "answer"], sort=False):
        whole = len(some) == points[name]  # a law that cannot be fitted in some fold has no score
        value = floored_rms(some.error, float(some.noise.iloc[0])) if whole else np.nan
        rows.setdefault(name, {"role": some.role.iloc[0]})[answer] = value
    table = pd.DataFrame.from_dict(rows, orient="index")
    laws = [law for law in LAWS if law in table]
    table["best law"] = table[laws].min(axis=1)
    for name in ("chosen", "auto"):
        if name in table:
            table[f"{name} / best"] = table[name] / table["best law"]
            table[f"{name} / default"] = table[name] / table[DEFAULT]
    return table


def with_interval_scores(answers: pd.DataFrame, answer: str) -> pd.DataFrame:
    """For each held-out point, whether its interval contains it, and both interval scores."""
    own = answers[answers.answer == answer]
    own = own.assign(error=log_errors(own.loss, own.predicted))
    folds = []
    for (_, out), fold in own[own.out.isin(TOPS)].groupby(["set", "out"], sort=False):
        same = own[own.set == fold.set.iloc[0]]
        edge = fold["last"].iloc[0] - out
        before = same[same.out.isin([out + top for top in TOPS]) & (same.budget <= edge)]
        low, high = conformal_interval(fold.predicted, before.error, LEVEL)
        folds.append(
            fold.assign(
                inside=contained(fold.loss, fold.lower, fold.upper),
                score=interval_scores(fold.loss, fold.lower, fold.upper, LEVEL),
                conformal=interval_scores(fold.loss, low, high, LEVEL),
                conformal_inside=contained(fold.loss, low, high),
                group=fold.corpus + " " + fold["size"].astype(str) + f" top {out}",
            )
        )
    return pd.concat(folds)


def interval_table(points: pd.DataFrame) -> dict[str, object]:
    """Coverage by group and both mean interval scores, for points with both intervals."""
    told = points[points.inside.notna()]
    both = told[told.conformal.notna()]
    score, conformal = both.score.mean(), both.conformal.mean()
    return {
        "inside": str(coverage(told.inside, told.group)),
        "fails": coverage(told.inside, told.group).fails,
        "none": len(points) - len(told),
        "score": f"{score:.2%}",
        "conformal": f"{conformal:.2%}",
        "ratio": round(score / conformal, 2),
        "conformal inside": str(coverage(both.conformal_inside, both.group)),
    }


def show(answers: pd.DataFrame) -> None:
    """Print both tables and their summary for each role."""
    choice = choice_scores(answers)
    print("\nChoice of laws: RMS log error over all folds, %; ratios")
    shares = [name for name in choice if "/" not in name and name != "role"]
    text = choice.assign(**{name: (100 * choice[name]).round(2) for name in shares}).round(2)
    print(text.to_string())
    roles = [role for role in (DEVELOPMENT, TEST) if role in set(choice.role)]
    for role in roles:
        some = choice[choice.role == role]
        for name in ("chosen", "auto"):
            if name in some and some[name].notna().any():
                print(f"{role}, {name}: {_choice_summary(some, name)}")
        laws = ", ".join(f"{law} {some[law].div(some['best law']).median():.2f}" for law in LAWS)
        print(f"{role}, median ratio of each law to the best: {laws}")
    for answer in _WITH_INTERVALS:
        if answer not in set(answers.answer) or "lower" not in answers:
            continue
        points = with_interval_scores(answers, answer)
        rows = {name: interval_table(some) for name, some in points.groupby("set", sort=False)}
        for role in roles:
            rows[f"all {role}"] = interval_table(points[points.role == role])
        print(f"\n95 % intervals of {answer}")
        print(pd.DataFrame.from_dict(rows, orient="index").to_string())


def _choice_summary(table: pd.DataFrame, name: str) -> str:
    to_best, to_default = table[f"{name} / best"], table[f"{name} / default"]
    return (
        f"at most 1.2 times the best law in {(to_best <= 1.2).sum()} of {len(table)} sets"
        f" (median {to_best.median():.2f}, largest {to_best.max():.2f});"
        f" over the default {to_default.median():.2f} on the median set"
    )


if __name__ == "__main__":
    main()
