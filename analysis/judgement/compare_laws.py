"""The choice between laws by their predictions of held-out points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.choice.origins import (
    Origin,
    budget_origins,
    group_origins,
    levels,
    of_runs,
)
from scalinglab.analysis.choice.score import (
    NEAR,
    HeldOut,
    cluster_scores,
    leads,
    log_densities,
    trend,
)
from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.held_out_errors import (
    SPARE,
    ahead,
    drawn_scores,
    held_out_errors,
    of_rows,
    wild_rows,
    without_rows,
)
from scalinglab.analysis.fitting.outliers import rule_that_excludes
from scalinglab.analysis.judgement.comparison import Comparison, NotScored
from scalinglab.analysis.judgement.holdout import first_column, named
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.progress import each
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.labels import row_name
from scalinglab.analysis.tables.law_columns import column_named
from scalinglab.scaling.errors import UserError

Candidate = str | Law | tuple[str | Law, Mapping[str, Any]]

_NAMED = 5
_OPTIONS = tuple(field.name for field in fields(FitOptions))


def compare_laws(
    laws: Sequence[Candidate],
    data: pd.DataFrame,
    *,
    by: str | None = None,
    beyond: float | None = None,
    refused: dict[str, str] | None = None,
    **options: Any,
) -> Comparison:
    """Choose among laws by held-out extrapolation, or say that the data cannot tell.

    The points are ordered by a column. Origins leave out its top k values (values near each other
    count as one) as far apart as the data allow, or, if it holds labels, some labels in turn. At
    each origin every law is fitted to the rest and predicts all points left out; the score is their
    mean log density (`scalinglab.analysis.choice.score`). The error in sample is shown but does not
    decide: a surface can reach an R² of .998 and miss the next decade of compute. Laws whose order
    other draws of the runs could reverse, those fitted and those held out, are rivals.

    Parameters
    ----------
    laws : list of str, Law or (law, options)
        Options of `analysis.fit` for one law: ``("power_plus_constant", {"x": "C"})``.
    data : DataFrame
        With the columns of every law. Curve laws take whole schedules.
    by : str, optional
        Column, by the table's name or the law's: a size, tokens, FLOPs, or the names of runs.
        Default: the first law's first column.
    beyond : float, optional
        How many times beyond the largest value the question lies; default 2. Points as far ahead of
        their origin count most.
    refused : dict, optional
        Laws that cannot be fitted are left out and named here, each with its reason; default: they
        are refused.
    **options
        As in `analysis.fit`, for all laws.

    Raises
    ------
    UserError
        As `analysis.fit`; if fewer than two laws are given, two go by the same name, the column is
        missing or has too few values for an origin that leaves every law enough points.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> runs = pd.DataFrame({"C": np.geomspace(1e17, 1e21, 15)})
    >>> runs["loss"] = 1.7 + (1e18 / runs.C) ** 0.15
    >>> laws = [("power", {"x": "C"}), ("power_plus_constant", {"x": "C"})]
    >>> analysis.compare_laws(laws, runs, by="C", resamples=50).winner
    'power_plus_constant'
    """
    candidates = _candidates(laws, options)
    for _, law_options in candidates.values():
        data = with_multiples(data, law_options.get("columns"))
    first, chosen = next(iter(candidates.values()))
    by = column_named(data, by, named(chosen), "by") if by else first_column(first, chosen)
    if by not in data.columns:
        raise UserError(f"the table has no column {by!r}; by= names that along which laws predict")
    if beyond is not None and not beyond >= 1:
        raise UserError(f"beyond={beyond!r} must be at least 1")
    fitted = _of_common_rows(_fitted(candidates, data, refused))
    column = data[by].iloc[fitted[0].points.rows]
    fewest = max(len(law_fit.misfit.space.free) for law_fit in fitted) + SPARE
    origins, cluster, budget = _origins(
        column, fewest, None if first.curve else fitted[0].points.cluster
    )
    wild = wild_rows(fitted)
    if not (without_wild := without_rows(origins, wild)):
        wild = np.zeros_like(wild)  # nothing else is held out
    origins = without_wild or origins
    error = [
        held_out_errors(law_fit, origins, [0.0], budget)[0]
        for law_fit in each(fitted, "laws held out")
    ]
    predictions = ahead(np.array(error), origins, fitted[0].points.noise)
    question = NEAR if beyond is None else float(np.log(beyond))
    scores = cluster_scores(predictions, question, cluster)
    drawn = drawn_scores(fitted, origins, [0.0] * len(fitted), budget, question, cluster)
    return Comparison(
        _table(fitted, list(candidates), predictions, question, ~wild, leads(scores, drawn)),
        _predictions(list(candidates), fitted[0], predictions, data.index),
        {
            name: partial(fit, law, data, **law_options)
            for name, (law, law_options) in candidates.items()
        },
        by,
        tuple(origin.label for origin in origins),
        _not_scored(fitted, data, wild),
    )


def _fitted(
    candidates: dict[str, tuple[Law, dict[str, Any]]],
    data: pd.DataFrame,
    refused: dict[str, str] | None,
) -> list[BestFit]:
    """Each candidate fitted to all rows; those that cannot be are taken out and noted."""
    fitted = []
    for name, (law, law_options) in each(list(candidates.items()), "laws fitted"):
        try:
            fitted.append(_best(law, data, law_options))
        except UserError as error:
            if refused is None:
                raise
            refused[name] = str(error)
            del candidates[name]
    if len(candidates) < 2:
        raise UserError(
            next(iter(refused.values())) if refused else "laws: give at least two to choose among"
        )
    return fitted


def _best(law: Law, data: pd.DataFrame, options: Mapping[str, Any]) -> BestFit:
    signature(fit).bind(law, data, **options)  # unknown options are no law's
    return best_fit(law, data, FitOptions(**{n: v for n, v in options.items() if n in _OPTIONS}))


def _of_common_rows(fitted: list[BestFit]) -> list[BestFit]:
    """All laws on the rows that each of them reads."""
    common = fitted[0].points.rows
    for law_fit in fitted[1:]:
        common = np.intersect1d(common, law_fit.points.rows)
    masks = [np.isin(law_fit.points.rows, common) for law_fit in fitted]
    return [o if k.all() else of_rows(o, k) for o, k in zip(fitted, masks, strict=True)]


def _origins(
    column: pd.Series, fewest: int, run: Array | None
) -> tuple[list[Origin], Array, Array]:
    """The origins, which points miss together, and the values by which points are left out."""
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(float)
        budget = np.maximum(values, values[values > 0].min(initial=np.inf))
        origins = budget_origins(budget, fewest, run)
        cluster = levels(budget if run is None else of_runs(budget, run))
    else:
        budget = np.ones(len(column))
        labels, cluster = np.unique(column.astype(str), return_inverse=True)
        origins = group_origins(column.astype(str).to_numpy(), least=2) if len(labels) > 1 else []
    origins = [origin for origin in origins if origin.seen.sum() >= fewest]
    if not origins:
        raise UserError(
            f"laws are compared by what they predict of the largest {column.name!r}, which has too"
            f" few values: without the largest there must be {fewest} points at two values, and"
            " every value needs about three points"
            + ("" if run is None else "; checkpoints of a run are left out together")
            + "; by= names another column"
        )
    return origins, cluster, budget


def _candidates(
    laws: Sequence[Candidate], options: Mapping[str, Any]
) -> dict[str, tuple[Law, dict[str, Any]]]:
    by_name: dict[str, tuple[Law, dict[str, Any]]] = {}
    for candidate in laws:
        law, law_options = candidate if isinstance(candidate, tuple) else (candidate, {})
        law = find(law)
        name = law.name
        if name in by_name:
            name += f"({', '.join(f'{k}={v}' for k, v in law_options.items())})"
        if name in by_name:
            raise UserError(f"laws: {name} is given twice")
        by_name[name] = (law, {**options, **law_options})
    if len(by_name) < 2:
        raise UserError("laws: give at least two to choose among")
    return by_name


def _predictions(
    names: list[str], law_fit: BestFit, predictions: HeldOut, index: pd.Index
) -> pd.DataFrame:
    scale, target = law_fit.misfit.scale, law_fit.misfit.target[predictions.row]
    parts = [
        pd.DataFrame(
            {
                "law": name,
                "origin": predictions.origin,
                "row": index[law_fit.points.rows[predictions.row]],
                "measured": scale.back(target),
                "predicted": scale.back(np.where(np.isfinite(error), target + error, np.nan)),
                "error": np.where(np.isfinite(error), scale.error(error), np.inf),
            }
        )
        for name, error in zip(names, predictions.error, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def _table(
    fitted: Sequence[BestFit],
    names: list[str],
    predictions: HeldOut,
    question: float,
    scored: Array,
    behind: Array,
) -> pd.DataFrame:
    weights = predictions.weights(question)
    score = log_densities(predictions, weights, question) @ weights
    scale = fitted[0].misfit.scale
    error = np.where(np.isfinite(predictions.error), scale.error(predictions.error), np.inf)
    above = (error > 0) @ weights
    table = pd.DataFrame(
        {
            "free": [len(law_fit.misfit.space.free) for law_fit in fitted],
            "in_sample": [
                float(np.mean(np.abs(law_fit.misfit.scale.error(-law_fit.residuals[scored]))))
                for law_fit in fitted
            ],
            "held_out": np.abs(error) @ weights,
            "score": score,
            "bias": scale.error(trend(predictions, weights, question).value),
            "one_sided": np.maximum(above, 1 - above),
            "behind": behind,
        },
        index=pd.Index(names, name="law"),
    )
    return table.sort_values("score", ascending=False, kind="stable")


def _not_scored(fitted: Sequence[BestFit], data: pd.DataFrame, wild: Array) -> NotScored:
    """The wild rows by name, what the law that fits best predicts there, how to leave them out."""
    if not wild.any():
        return NotScored()
    closest = min(fitted, key=lambda law_fit: float(np.median(np.abs(law_fit.residuals))))
    points, law = closest.points, closest.misfit.space.law
    rows = points.rows[wild]
    predicted = closest.misfit.scale.back(closest.misfit.target - closest.residuals)[wild]
    names = tuple(row_name(data, row) for row in rows)
    each = [
        f"{name}: {measured:.4g} measured, {value:.4g} predicted"
        for name, measured, value in zip(names, points.response[wild], predicted, strict=True)
    ]
    more = f" and {len(each) - _NAMED} more" if len(each) > _NAMED else ""
    is_wild = np.zeros(len(data), bool)
    is_wild[rows] = True
    renamed = points.renamed
    rule = rule_that_excludes([renamed[law.response], *renamed.values()], data, is_wild)
    one = len(each) == 1
    return NotScored(
        names,
        f"{'1 point lies' if one else f'{len(each)} points lie'} far from every law that fits the"
        f" others ({'; '.join(each[:_NAMED])}{more}): {'it counts' if one else 'they count'} in no"
        f" error and no score here"
        + (f"; {rule} leaves {'it' if one else 'them'} out of the fits, too" if rule else ""),
    )
