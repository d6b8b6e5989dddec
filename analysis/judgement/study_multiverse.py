"""The multiverse of a study or a table: which choices vary, and the runs counted in each way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.target import Target
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit
from scalinglab.analysis.fitting.outliers import far_points
from scalinglab.analysis.fitting.threshold import WORDS
from scalinglab.analysis.judgement.laws_compared import LawsCompared
from scalinglab.analysis.judgement.multiverse import (
    EXCLUSIONS,
    OBJECTIVES,
    Choices,
    Multiverse,
    fit_multiverse,
    with_far,
)
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.registry import AUTO
from scalinglab.analysis.tables.imported import COUNTS
from scalinglab.analysis.tables.labels import row_name
from scalinglab.analysis.tables.numbers import numbers_in
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.study_runs import require
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.plan_file import AnswerConfig

_FEW_STARTS = 16  # of each fit for a report, which makes dozens of fits
_NAMED = 2  # runs far from the law; more are counted
_CONVENTION = "n_matmul"  # the count of N by which a study is answered
_DECIDING = {option.name for option in fields(FitOptions)}
_FAR = "far_from_law == true"
_LEAST_VALUES = 4  # sizes, or token budgets: with more of them one can be left out
_ENDS = {"smallest size": "N_over_smallest < 1.01", "fewest tokens": "D_over_fewest < 1.01"}


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
        if any(np.array_equal(runs["N"], known["N"]) for known in counted.values()):
            continue  # as active and all parameters of a dense model
        # Imported runs may have only one count, whichever is loaded.
        counted[" and ".join(sorted(runs["n_count"].dropna().unique()))] = runs
    return counted


def counted_points(points: pd.DataFrame, n_columns: Sequence[str] = ()) -> dict[str, pd.DataFrame]:
    """A table made elsewhere with N counted in several ways: the column of N -> the table.

    Raises
    ------
    UserError
        If the table lacks a column.
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
    exclude: Sequence[str] = (),
    compared: LawsCompared | None = None,
) -> Multiverse | None:
    """N* for a study's largest budget; None where it has none or no analysis variant gives one.

    A law that a comparison of laws has rejected is not varied over: another that it cannot tell from
    the best takes its place.
    """
    if not answer.budgets:
        return None
    target = Target("N", {"C": float(max(answer.budgets))})
    law = LAW if answer.law == AUTO else answer.law
    usual = find(law).rival or LAW
    try:
        return study_multiverse(
            outputs,
            study,
            target,
            law=law,
            rival=usual if compared is None else compared.other_law(law, usual),
            delta=answer.delta,
            starts=_FEW_STARTS,
            mix_fingerprints=mix_fingerprints,
            loss=loss,
            exclude=exclude,
        )
    except UserError:
        return None


def table_multiverse(
    conventions: Mapping[str, pd.DataFrame],
    target: Target,
    *,
    law: str = LAW,
    rival: str | None = "",
    exclude: Sequence[str] = (),
    delta: float | str | None = None,
    **options: Any,
) -> Multiverse:
    """The multiverse of one set of runs that are counted in several ways.

    Its laws are `law` and its rival, its objectives the usual three, its exclusions none, the
    smallest size, and the fewest tokens. Runs far from `law` are fitted by one exclusion more
    alone: under least squares one such run decides the answer.

    Parameters
    ----------
    conventions : mapping of str to DataFrame
        How N is counted -> the runs.
    target : Target
        The quantity to answer.
    law : str
    rival : str, optional
        The other law. Default: the usual one; None: `law` alone.
    exclude : sequence of str
        Rows that every variant leaves out, as in `analysis.fit`.
    delta : float or str, optional
        The threshold of the study's own fits: a fourth objective if it is none of the three.
    **options
        As in `fit_multiverse`.
    """
    if rival == "":
        rival = find(law).rival or LAW
    first = next(iter(conventions.values()))
    is_far = _far_rows(law, first, FitOptions(delta=delta, exclude=exclude, **_of_fit(options)))
    far = _names(first, is_far)
    exclusions: dict[str, tuple[str, ...]] = {f"without {far}": ()} if far else dict(EXCLUSIONS)
    for name, words in {"N": "smallest size", "D": "fewest tokens"}.items():
        if first[name].nunique() > _LEAST_VALUES:
            exclusions[f"without the {words}"] = (words,)
    always = [*exclude, *([_FAR] if far else [])]
    rules = {name: [*always, *(_ENDS[w] for w in ends)] for name, ends in exclusions.items()}
    choices = Choices(
        {name: _with_ends(table, is_far) for name, table in conventions.items()},
        (law,) if rival is None else (law, rival),
        _objectives(delta),
        exclusions={**rules, **({with_far(far): list(exclude)} if far else {})},
        convention=_CONVENTION if _CONVENTION in conventions else next(iter(conventions)),
        far_runs=far,
    )
    return fit_multiverse(
        choices, lambda result: float(target.draws(result)[0]), target.in_words, **options
    )


def _objectives(delta: float | str | None) -> dict[str, Mapping[str, Any]]:
    """The usual objectives, and that of a study if it is another."""
    if delta in (None, WORDS[0], *(objective.get("delta") for objective in OBJECTIVES.values())):
        return dict(OBJECTIVES)
    return {**OBJECTIVES, f"Huber {delta}": {"delta": delta}}


def _with_ends(table: pd.DataFrame, is_far: np.ndarray) -> pd.DataFrame:
    """The table with columns by which conditions can leave out its ends and rows far from the law.

    The ends are in multiples, whatever the units; `is_far` is an array of bool.
    """
    near = table[~is_far]
    return table.assign(
        N_over_smallest=table["N"] / near["N"].min(),
        D_over_fewest=table["D"] / near["D"].min(),
        far_from_law=is_far,
    )


def _far_rows(law: str, table: pd.DataFrame, options: FitOptions) -> np.ndarray:
    """The rows that lie far from a law fitted to all, an array of bool, shape (rows,)."""
    is_far = np.zeros(len(table), bool)
    try:
        fitted = best_fit(law, table, options)
    except UserError:  # each variant says why
        return is_far
    space = fitted.misfit.space
    far = far_points(space.law, fitted.residuals, fitted.points, len(space.free))
    is_far[fitted.points.rows[far]] = True
    return is_far


def _names(table: pd.DataFrame, rows: np.ndarray) -> str:
    """Some rows in words: their names, or how many."""
    places = [int(place) for place in np.flatnonzero(rows)]
    if len(places) > _NAMED:
        return f"{len(places)} runs"
    return " and ".join(row_name(table, place) for place in places)


def _of_fit(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options of all fits that decide the best one."""
    return {name: options[name] for name in _DECIDING if name in options}
