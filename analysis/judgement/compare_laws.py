"""Which law? The one that predicts what it has not seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.judgement.comparison import Comparison, mean_error
from scalinglab.analysis.judgement.holdout import first_column, named
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.points import column_named
from scalinglab.scaling.errors import UserError

Candidate = str | Law | tuple[str | Law, Mapping[str, Any]]

_TENTH = 0.1  # of the rows: an origin's step where sizes hardly repeat
_RUNGS = 30  # more different sizes than this, and they are no ladder


def compare_laws(
    laws: Sequence[Candidate],
    data: pd.DataFrame,
    *,
    by: str | None = None,
    origins: int = 3,
    **options: Any,
) -> Comparison:
    """Choose among laws by held-out extrapolation.

    The points are taken in the order of a column. From each of the last few origins on, every law
    is fitted to what lies before it and predicts the step that follows: a rung where sizes repeat,
    else a tenth of the points; or, where the column holds labels, each label in turn. An error in
    sample says little (a surface can reach an R² of .998 and miss the next decade of compute): it
    stands beside, and does not decide.

    Parameters
    ----------
    laws : list of str, Law or (law, options)
        Options of `analysis.fit` for one law: ``("power_plus_constant", {"x": "C"})``.
    data : DataFrame
        With the columns of every law. Curve laws take whole schedules.
    by : str, optional
        Column, by the table's name or the law's: a size, tokens, FLOPs, or the names of runs.
        Default: the first law's first column.
    origins : int
        How many steps to predict.
    **options
        As in `analysis.fit`, for all laws.

    Raises
    ------
    UserError
        As `analysis.fit`; if fewer than two laws are given, two go by the same name, the column is
        missing or has too few values, or no origin leaves every law enough points.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> runs = pd.DataFrame({"C": np.geomspace(1e17, 1e21, 12)})
    >>> runs["loss"] = 1.7 + (1e18 / runs.C) ** 0.15
    >>> laws = [("power", {"x": "C"}), ("power_plus_constant", {"x": "C"})]
    >>> analysis.compare_laws(laws, runs, by="C", resamples=50).winner
    'power_plus_constant'
    """
    candidates = _candidates(laws, options)
    first, chosen = next(iter(candidates.values()))
    for _, given in candidates.values():
        data = with_multiples(data, given.get("columns"))
    by = column_named(data, by, named(chosen), "by") if by else first_column(first, chosen)
    if by not in data.columns:
        raise UserError(f"by: the table has no column {by!r}")
    if origins < 1:
        raise UserError(f"origins={origins!r} must be at least 1")
    results = {name: fit(law, data, **given) for name, (law, given) in candidates.items()}
    data = data.reset_index(drop=True)
    parts, skipped = [], []
    for origin, (label, seen, ahead) in enumerate(_origins(data[by], origins)):
        try:
            part = [
                _ahead(name, law, data, seen, ahead, given)
                for name, (law, given) in candidates.items()
            ]
        except UserError as error:
            skipped.append(f"{label}: {error}")
            continue
        parts.append(pd.concat(part).assign(origin=origin))
    if not parts:
        raise UserError(f"no origin leaves every law enough points ({skipped[-1]})")
    predictions = pd.concat(parts, ignore_index=True)
    return Comparison(_table(results, predictions), predictions, results, by, tuple(skipped))


def _candidates(
    laws: Sequence[Candidate], options: Mapping[str, Any]
) -> dict[str, tuple[Law, dict[str, Any]]]:
    found: dict[str, tuple[Law, dict[str, Any]]] = {}
    for candidate in laws:
        law, own = candidate if isinstance(candidate, tuple) else (candidate, {})
        law = find(law)
        name = law.name
        if name in found:
            name += f"({', '.join(f'{k}={v}' for k, v in own.items())})"
        if name in found:
            raise UserError(f"laws: {name} is given twice")
        found[name] = (law, {**options, **own})
    if len(found) < 2:
        raise UserError("laws: give at least two to choose among")
    return found


def _origins(column: pd.Series, count: int) -> Iterator[tuple[str, Array, Array]]:
    """(what is ahead, rows seen, rows ahead) of each origin, the outermost last."""
    if not pd.api.types.is_numeric_dtype(column):
        labels = sorted(column.astype(str).unique())
        for label in labels[-count:]:
            ahead = (column.astype(str) == label).to_numpy()
            yield label, ~ahead, ahead
        return
    edges = _edges(column.to_numpy(float), count)
    for low, high in itertools.pairwise(edges):
        ahead = ((column > low) & (column <= high)).to_numpy()
        yield f"{column.name} > {low:.3g}", (column <= low).to_numpy(), ahead


def _edges(values: Array, count: int) -> Array:
    """The largest value seen at each origin, and the largest of all."""
    sizes = np.unique(values)
    if len(sizes) > _RUNGS:
        shares = 1 - _TENTH * np.arange(count, -1, -1)
        sizes = np.unique(np.quantile(values, shares[shares > 0], method="lower"))
    if len(sizes) < 2:
        raise UserError("by: the column has one value; nothing lies ahead of anything")
    return sizes[-count - 1 :]


def _ahead(
    name: str, law: Law, data: pd.DataFrame, seen: Array, ahead: Array, options: dict[str, Any]
) -> pd.DataFrame:
    """Predictions of the rows ahead by a law fitted to the rows seen."""
    options = options | {"resamples": 0}
    response = (options.get("columns") or {}).get(law.response, law.response)
    if law.curve:  # the schedule is known in advance, its losses are not
        result = fit(law, data.assign(**{response: data[response].where(seen)}), **options)
        predicted = result.predict(data)[law.response][ahead]
    else:
        result = fit(law, data[seen], **options)
        predicted = result.predict(data[ahead])[law.response]
    measured, scale = data.loc[ahead, response], result.scale
    answers, losses = predicted.to_numpy(float), measured.to_numpy(float)
    error = scale.error(scale.of(answers) - scale.of(losses))
    impossible = np.isnan(scale.possible(answers)) & ~np.isnan(answers)
    table = pd.DataFrame(
        {
            "law": name,
            "row": measured.index,
            "measured": measured,
            "predicted": predicted,
            "error": np.where(impossible, np.inf, error),  # no law wins by what it cannot predict
        }
    )
    return table[table["error"].notna() & np.isfinite(table["measured"])]


def _table(results: dict[str, Result], predictions: pd.DataFrame) -> pd.DataFrame:
    last = predictions[predictions["origin"] == predictions["origin"].max()]
    errors = predictions.groupby("law", sort=False)["error"]
    above = errors.apply(lambda error: float(np.mean(error > 0)))
    table = pd.DataFrame(
        {
            "free": {name: len(result.free) for name, result in results.items()},
            "in_sample": {
                name: float(np.mean(np.abs(result.scale.error(-result.residuals))))
                for name, result in results.items()
            },
            "held_out": mean_error(predictions),
            "last": last["error"].abs().groupby(last["law"], sort=False).mean(),
            "bias": errors.mean(),
            "one_sided": np.maximum(above, 1 - above),
            "wins": _wins(predictions),
        }
    )
    return table.loc[list(results)].rename_axis("law").sort_values("held_out", kind="stable")


def _wins(predictions: pd.DataFrame, draws: int = 1000) -> pd.Series:
    """Share of the resamples of held-out points (weights, origins kept) that each law wins."""
    size = predictions.assign(size=predictions["error"].abs())
    errors = size.pivot(index=["origin", "row"], columns="law", values="size").dropna()
    weight = np.random.default_rng(0).exponential(size=(draws, len(errors)))
    total = np.zeros((draws, errors.shape[1]))
    origin = errors.index.get_level_values("origin")
    for k in origin.unique():
        part = weight[:, origin == k]
        total += part @ errors.to_numpy()[origin == k] / part.sum(axis=1, keepdims=True)
    won = np.bincount(total.argmin(axis=1), minlength=errors.shape[1]) / draws
    return pd.Series(won, index=errors.columns)
