"""Coverage of 95 % intervals of default laws beyond the range, in budget and in every ratio.

    OMP_NUM_THREADS=1 python benchmarks/held_out_axes.py [--only WORD] [--to TABLE.csv]
    python benchmarks/held_out_axes.py --from TABLE.csv

Sets, laws and axes: `axis_sets`, which are all sets of surfaces, and those whose laws have other
columns (unique tokens, streams, experts, vocabulary, shares of a mixture; the best LR and batch of
sweeps; losses on another corpus).

Folds: along each axis the largest 1, 2 and 3 levels are held out ("top 1", "top 2", "top 3"). A
fold needs ten rows, three levels, and three values of every column of the law below it; the others
are counted as not asked. Laws are fitted with their defaults, 199 resamples; rows of one `run` or
`cluster` are resampled together.

Scores: as in `held_out`. Coverage counts groups (a size of a corpus, a size of a mixture, or a
sweep, in one fold of one axis) and fails where its binomial interval excludes 95 % from below; an
answer without an interval counts as none. Beside the mean interval score stands that of split
conformal intervals on the same folds, from the answer's own errors when the largest 1, 2 and 3 of
the levels that the fold has seen were held out in turn; at most 1.2 times that is wanted. Scores
are of logarithms; those of laws with absolute errors are of the response itself.

Roles: `development` may choose rules, one entry left out at a time; `test` is only scored. The form
of the law of mixtures was chosen on point predictions of its set, and `held_out` scored the point
predictions of the surfaces of role `test` twice; no interval of them had been seen before this
protocol was committed, but those of `repetition.py` and `mixtures.py`, on other splits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from axis_sets import NO_LOSSES, Case, cases, fitted
from held_out import (
    LEVEL,
    RESAMPLES,
    TOPS,
    answers_of_each,
    interval_table,
    parser_of_sets,
    with_interval_scores,
)
from scoring import coverage

from scalinglab.scaling.errors import UserError

Array = np.ndarray

_ANSWER = "default"


def main() -> None:
    """Print a row a set and axis, and the sums of each role."""
    asked = parser_of_sets(__doc__.splitlines()[0]).parse_args()
    if asked.stored:
        answers = pd.read_csv(asked.stored)
    else:
        chosen = [case for case in cases(asked.only) if asked.role in (None, case.role)]
        answers = pd.concat(answers_of_each(chosen, answers_of, asked.to), ignore_index=True)
    show(answers)


def answers_of(case: Case) -> pd.DataFrame:
    """One row an axis, a number of levels held out, and a point that was.

    A fold's own earlier folds hold out as many levels again, so up to twice as many are left out.
    """
    tables = [pd.DataFrame()]
    for axis, level in case.axes.items():
        for out in range(1, 2 * max(TOPS) + 1):
            seen = level <= level.max() - out
            if enough(case, seen, level):
                tables.append(predicted(case, axis, level, seen).assign(out=out))
            elif out in TOPS:
                print(f"{case.name}, {axis}, top {out}: too few points are left", flush=True)
    return pd.concat(tables, ignore_index=True)


def enough(case: Case, seen: Array, level: Array) -> bool:
    """Whether a fold has enough points to fit."""
    runs = case.runs[seen]
    values = [runs[name].nunique() for name in case.law.columns if name in runs]
    return len(runs) >= 10 and min(len(np.unique(level[seen])), *values) >= 3


def predicted(case: Case, axis: str, level: Array, seen: Array) -> pd.DataFrame:
    """Predictions for held-out rows from a fit to the other rows."""
    ahead, response = case.runs[~seen], case.law.response
    measured = ahead[response].to_numpy(float)
    nothing = np.full(len(ahead), np.nan)
    said = {"predicted": nothing, "lower": nothing, "upper": nothing}
    try:
        fit = fitted(case, seen, RESAMPLES)
    except UserError as error:
        print(f"{case.name}, {axis}: {error}", flush=True)
    else:
        try:
            table = fit.predict(ahead, LEVEL)
        except UserError:  # intervals are withheld
            table = fit.predict(ahead).assign(lower=np.nan, upper=np.nan)
        said = {"predicted": table[response], "lower": table["lower"], "upper": table["upper"]}
        said = {name: column.to_numpy(float) for name, column in said.items()}
    if case.law.errors == "absolute":  # scores take logarithms
        measured, said = np.exp(measured), {name: np.exp(v) for name, v in said.items()}
    return pd.DataFrame(
        {
            "set": f"{case.name} | {axis}",
            "case": case.name,
            "axis": axis,
            "role": case.role,
            "corpus": f"{case.corpus} {axis}",
            "size": case.group[~seen],
            "budget": level[~seen],
            "last": level.max(),
            "loss": measured,
            **said,
            "answer": _ANSWER,
        }
    )


def show(answers: pd.DataFrame) -> None:
    """Print a row per set and axis, sums per role and axis, and how many rows meet the aim."""
    points = with_interval_scores(answers[answers["predicted"].notna()], _ANSWER)
    table = pd.DataFrame.from_dict(
        {name: interval_table(some) for name, some in points.groupby("set", sort=False)},
        orient="index",
    )
    table["role"] = points.groupby("set", sort=False)["role"].first()
    with pd.option_context("display.width", 1000, "display.max_columns", None):
        print(table.to_string())
    for role, lines in table.groupby("role"):
        some = points[(points["role"] == role) & points["inside"].notna()]
        print(f"\n{role}: {coverage(some['inside'], some['group'])} of all groups")
        losses = some[~some["case"].isin(NO_LOSSES)]
        for axis, own in [("all axes", losses), *losses.groupby("axis")]:
            row = interval_table(own)
            print(
                f"  losses, {axis}: {row['inside']}; score {row['score']}, conformal"
                f" {row['conformal']} (inside {row['conformal inside']}), ratio {row['ratio']}"
            )
        ratio = lines["ratio"].dropna()
        print(
            f"  coverage fails in {lines['fails'].sum()} of {len(lines)} lines; score at most 1.2"
            f" times the conformal one in {(ratio <= 1.2).sum()} of {len(ratio)}"
            f" (median {ratio.median():.2f}, largest {ratio.max():.2f})"
        )


if __name__ == "__main__":
    main()
