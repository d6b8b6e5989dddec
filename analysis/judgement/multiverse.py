"""How an answer varies with each analysis choice, and which choice matters most.

How FLOPs and parameters are counted, which law is fitted under which objective, which runs are left
out: each is chosen with good reasons, and published exponents differ by what was chosen
(arXiv:2406.19146). Here all combinations are fitted. The variance of the answers is then shared out
among the choices: a choice's own part is the variance of the means over its options, its whole part
what is left on average once all the others are known (the first and the total Sobol' index of a
full factorial; Saltelli et al. 2008). What is in no choice's own part is their acting together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.target import Target
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.fitting.threshold import WORDS
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.analysis.tables.imported import COUNTS
from scalinglab.analysis.tables.numbers import numbers_in
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.study_runs import require
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.plan_file import AnswerConfig

Array = np.ndarray

CHOICES = ("convention", "law", "objective", "exclusion")
_FEW_STARTS = 16  # of each fit for a report: there are dozens
_LEAST_VALUES = 4  # sizes, or token budgets, of which one can be spared
_ENDS = {"smallest size": "N_over_smallest < 1.01", "fewest tokens": "D_over_fewest < 1.01"}
EXCLUSIONS: Mapping[str, tuple[str, ...]] = {"all runs": ()}
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
    "Huber 1e-3": {"delta": 1e-3},
    "Huber 1e-2": {"delta": 1e-2},
    "least squares": {"objective": "least_squares"},
}


@dataclass(frozen=True)
class Multiverse:
    """One answer a combination of choices.

    Attributes
    ----------
    table : DataFrame
        ``convention, law, objective, exclusion`` and the ``answer``; NaN where there is none, and
        then ``why``.
    shares : DataFrame
        One row a choice with more than one option: ``choice``, ``options``, ``own`` and ``whole``
        share of the variance of log answer, and ``factor``: the largest over the smallest mean
        answer of its options.
    of : str
        What is asked.
    """

    table: pd.DataFrame
    shares: pd.DataFrame
    of: str

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest answer."""
        answers = self.table["answer"].dropna()
        return float(answers.min()), float(answers.max())

    def sentence(self) -> str:
        """The range of the answer, and the choice that matters most."""
        low, high = self.range
        has_answer = self.table["answer"].notna()
        count = (
            f"{has_answer.sum()} of {len(has_answer)}"
            if not has_answer.all()
            else f"{len(has_answer)}"
        )
        text = f"Across {count} analysis variants {self.of} is {low:.4g} to {high:.4g}"
        if self.shares.empty or high == low:
            return text + "."
        most = self.shares.iloc[0]
        return (
            f"{text}, mainly by the choice of {most['choice']} ({most['whole']:.0%} of the "
            f"variance, a factor of {most['factor']:.3g} between its options)."
        )


@dataclass(frozen=True)
class Choices:
    """The options of each choice, by name.

    Attributes
    ----------
    conventions : mapping of str to DataFrame
        How N and C are counted -> the points counted so.
    laws : sequence of str
    objectives : mapping of str to dict
        -> options of `analysis.fit`.
    exclusions : mapping of str to sequence of str
        -> what ``exclude=`` of `analysis.fit` takes.
    """

    conventions: Mapping[str, pd.DataFrame]
    laws: Sequence[str] = (LAW,)
    objectives: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: dict(OBJECTIVES))
    exclusions: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(EXCLUSIONS))


def fit_multiverse(
    choices: Choices, answer: Callable[[Result], float], of: str, **options: Any
) -> Multiverse:
    """Fit every combination and share out the variance of the answers.

    Parameters
    ----------
    choices : Choices
    answer : callable
        ``answer(result)``: one positive number, as ``lambda r: read_target("N at C=1e20")
        .draws(r)[0]``; UserError where a fit gives none.
    of : str
        What it answers, in words.
    **options
        Of all fits; see `analysis.fit`. No resamples by default.

    Raises
    ------
    UserError
        If no combination gives an answer.
    """
    rows = []
    for row in itertools.product(
        choices.conventions, choices.laws, choices.objectives, choices.exclusions
    ):
        convention, law, objective, exclusion = row
        fit_options = {"resamples": 0, **options, **choices.objectives[objective]}
        try:
            result = fit(
                law,
                choices.conventions[convention],
                exclude=list(choices.exclusions[exclusion]),
                **fit_options,
            )
            value, reason = float(answer(result)), ""
            if not (np.isfinite(value) and value > 0):
                value, reason = np.nan, "no answer"
        except UserError as error:
            value, reason = np.nan, str(error)
        rows.append(dict(zip(CHOICES, row, strict=True)) | {"answer": value, "why": reason})
    table = pd.DataFrame(rows)
    if table["answer"].isna().all():
        raise UserError(f"no analysis variant gives {of}: {table['why'].iloc[0]}")
    return Multiverse(table, shares(table), of)


def study_multiverse(
    outputs: str | Path,
    study: str,
    target: Target,
    *,
    law: str = LAW,
    n_counts: Sequence[str] = COUNTS,
    loss: str | None = None,
    **options: Any,
) -> Multiverse:
    """The multiverse of a study: counts of N, two laws, three objectives, ends left out.

    `loss` is a measured column that is taken as the loss, as in `analysis.load`.

    Raises
    ------
    UserError
        If the study has no finished run to fit; else as `fit_multiverse`.
    """
    conventions = counted_runs(outputs, study, n_counts, loss)
    return table_multiverse(conventions, target, law=law, **options)


def counted_runs(
    outputs: str | Path,
    study: str,
    n_counts: Sequence[str] = COUNTS,
    loss: str | None = None,
) -> dict[str, pd.DataFrame]:
    """The runs that a study fits, with N counted in several ways: count -> runs."""
    counted: dict[str, pd.DataFrame] = {}
    for count in n_counts:
        runs = load(outputs, study=study, role="fit", n_count=count, flops=FLOPS, loss=loss)
        require(runs, outputs, study, "fit")
        if any(
            np.array_equal(runs["N"], counted_before["N"]) for counted_before in counted.values()
        ):
            continue  # a dense model is active as a whole
        # Imported runs may have one count, whichever is asked for.
        counted[" and ".join(sorted(runs["n_count"].dropna().unique()))] = runs
    return counted


def counted_points(points: pd.DataFrame, n_columns: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """A table made elsewhere with N counted in several ways: the column of N -> the table.

    Raises
    ------
    UserError
        If a column is not there.
    """
    for column in (*n_columns, "D", "loss", *([] if n_columns else ["N"])):
        if column not in points:
            raise UserError(
                f"the table has no column {column!r}; it has {', '.join(names_of(points))}"
            )
    return {name: points.assign(N=numbers_in(points, name)) for name in n_columns} or {
        "as given": points
    }


def answer_multiverse(
    outputs: str | Path,
    study: str,
    answer: AnswerConfig,
    mix_fingerprints: bool,
    loss: str | None = None,
) -> Multiverse | None:
    """N* for a study's largest budget; None where it has none or no analysis variant gives one."""
    if not answer.budgets:
        return None
    target = Target("N", {"C": float(max(answer.budgets))})
    try:
        return study_multiverse(
            outputs,
            study,
            target,
            law=LAW if answer.law == AUTO else answer.law,
            delta=answer.delta,
            starts=_FEW_STARTS,
            mix_fingerprints=mix_fingerprints,
            loss=loss,
        )
    except UserError:
        return None


def table_multiverse(
    conventions: Mapping[str, pd.DataFrame],
    target: Target,
    *,
    law: str = LAW,
    exclude: Sequence[str] = (),
    delta: float | str | None = None,
    **options: Any,
) -> Multiverse:
    """The multiverse of one set of runs counted in several ways: `law` and its rival, three
    objectives, and the smallest size or the fewest tokens left out.

    `exclude` are rows that no way to fit takes, as in `analysis.fit`; `delta`, the threshold of the
    study's own fits, is an objective more where it is none of the three.
    """
    rival = find(law).rival or LAW
    first = next(iter(conventions.values()))
    exclusions = dict(EXCLUSIONS)
    for name, words in {"N": "smallest size", "D": "fewest tokens"}.items():
        if first[name].nunique() > _LEAST_VALUES:
            exclusions[f"without the {words}"] = (words,)
    tables = {k: _with_ends(table) for k, table in conventions.items()}
    choices = Choices(
        tables,
        (law, rival),
        _objectives(delta),
        exclusions={
            name: [*exclude, *(_ENDS[w] for w in rules)] for name, rules in exclusions.items()
        },
    )
    return fit_multiverse(
        choices, lambda result: float(target.draws(result)[0]), target.in_words, **options
    )


def _objectives(delta: float | str | None) -> dict[str, Mapping[str, Any]]:
    """The usual objectives, and that of a study if it is another."""
    if delta in (None, WORDS[0], *(objective.get("delta") for objective in OBJECTIVES.values())):
        return dict(OBJECTIVES)
    return {**OBJECTIVES, f"Huber {delta}": {"delta": delta}}


def _with_ends(table: pd.DataFrame) -> pd.DataFrame:
    """With columns by which conditions can leave the ends out, whatever the units."""
    return table.assign(
        N_over_smallest=table["N"] / table["N"].min(), D_over_fewest=table["D"] / table["D"].min()
    )


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """How the variance of log answer is shared out among the choices, largest first.

    Combinations without an answer are left out, so shares are of those that have one.
    """
    answered = table[table["answer"].notna()]
    log = np.log(answered["answer"])
    variance = float(log.var(ddof=0))
    rows = []
    for choice in CHOICES:
        if answered[choice].nunique() < 2:
            continue
        means = log.groupby(answered[choice]).mean()
        main_variance = log.groupby(answered[choice]).transform("mean").var(ddof=0)
        other_choices = [answered[c] for c in CHOICES if c != choice]
        within = (log - log.groupby(other_choices).transform("mean")).var(ddof=0)
        rows.append(
            {
                "choice": choice,
                "options": answered[choice].nunique(),
                "own": float(main_variance) / variance if variance > 0 else 0.0,
                "whole": float(within) / variance if variance > 0 else 0.0,
                "factor": float(np.exp(means.max() - means.min())),
            }
        )
    columns = ["choice", "options", "own", "whole", "factor"]
    shares_table = pd.DataFrame(rows, columns=columns)
    return shares_table.sort_values("whole", ascending=False, ignore_index=True)
