"""What a fit found, with everything needed to judge it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.diagnosis import Diagnosis
from scalinglab.analysis.intervals.rolling import NO_ORIGINS, Origins, wanderings
from scalinglab.analysis.intervals.spread import quantiles, widened
from scalinglab.analysis.laws.error_scale import ERROR_SCALES, ErrorScale
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.points import rename, rename_columns

Array = np.ndarray

_BLOCK = 1 << 21  # predictions of resamples that are held at once


@dataclass(frozen=True, eq=False)
class Result:
    """A fitted law.

    Attributes
    ----------
    law : Law
    params : dict of str to float
        Best value of every parameter.
    draws : DataFrame
        One row a resample, one column a parameter: the intervals come from these.
    objective : float
        The value reached, in its published scale (a sum over points).
    settings : dict
        How the fit was made: objective, delta, resampling, seed, fixed parameters ...
    points, clusters : int
        Points fitted, and independent groups among them (equal to points without clusters).
    residuals : array, shape (points,)
        Measured - predicted, on the scale of the fit: in logarithms where errors are relative.
    noise : float or None
        Known noise of the response, on the same scale.
    diagnosis : Diagnosis
    columns : dict of str to str
        Column of the law -> column of the table: which N, which D, which loss.
    ranges : dict of str to (low, high)
        The measured range of each column.
    runs : tuple of str
        Runs that the points come from, where the table names them.
    excluded : dict of str to int
        Why rows were left out -> how many.
    held_out : dict or None
        How well the same fit without the largest scale predicts it; see `analysis.hold_out`.
    origins : Origins
        Refits without the outermost points, which widen predictions beyond the range.
    warnings : tuple of str
        Plain sentences.
    """

    law: Law
    params: dict[str, float]
    draws: pd.DataFrame
    objective: float
    settings: dict
    points: int
    clusters: int
    residuals: Array
    noise: float | None
    diagnosis: Diagnosis
    columns: dict[str, str]
    ranges: dict[str, tuple[float, float]]
    runs: tuple[str, ...] = ()
    excluded: dict[str, int] = field(default_factory=dict)
    held_out: dict | None = None
    origins: Origins = NO_ORIGINS
    warnings: tuple[str, ...] = ()

    @property
    def scale(self) -> ErrorScale:
        """The scale of residuals and noise: relative (logarithms) or absolute."""
        return ERROR_SCALES[self.settings["errors"]]

    @property
    def inflation(self) -> float:
        """By what intervals of predictions are widened; 1 but for `widened_by`."""
        return float(self.settings.get("inflation", 1.0))

    def widened_by(self, inflation: float) -> Result:
        """The fit with intervals of predictions so many times as wide as its resamples say.

        Parameters
        ----------
        inflation : float
            At least 1: from the record of earlier forecasts, `scalinglab.analysis.forecasts.track`.
        """
        if not inflation >= 1:
            raise ValueError(f"inflation = {inflation!r} must be at least 1")
        if inflation == self.inflation:
            return self
        return replace(self, settings=self.settings | {"inflation": float(inflation)})

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.params.items())
        return f"<{self.law.name} fitted to {self.points} points: {values}>"

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Lower and upper end of a parameter's interval.

        Raises
        ------
        ValueError
            If there is no such parameter, or the fit was made without resamples.
        """
        if name not in self.params:
            allowed = ", ".join(self.params)
            raise ValueError(f"{self.law.name} has no parameter {name!r}, only {allowed}")
        self._need_draws()
        low, high = quantiles(self.draws[name].to_numpy(), _checked(level))
        return float(low), float(high)

    @property
    def summary(self) -> pd.DataFrame:
        """One row a parameter: value, interval, standard error, and whether to believe it."""
        rows = []
        for parameter in self.law.parameters:
            name = parameter.name
            lower = upper = error = np.nan
            if len(self.draws):
                lower, upper = self.interval(name, self.settings["level"])
                error = float(self.draws[name].std())
            rows.append(
                {
                    "parameter": name,
                    "value": self.params[name],
                    "lower": lower,
                    "upper": upper,
                    "standard_error": error,
                    "identified": name not in self.diagnosis.unidentified,
                    "unit": parameter.unit,
                    "meaning": parameter.meaning,
                }
            )
        return pd.DataFrame(rows).set_index("parameter")

    def predict(
        self, data: pd.DataFrame, level: float | None = None, *, beside: Sequence[Result] = ()
    ) -> pd.DataFrame:
        """The law at other points.

        Parameters
        ----------
        data : DataFrame
            With the law's columns, under the names that the fitted table had, or else under the
            law's own. For a curve law: whole schedules, one row a step.
        level : float, optional
            Also give the interval that a new measurement falls in: the resampled laws, and on top
            of each the noise of the points. Beyond the measured range the law itself is in doubt:
            there, the spread of rolling-origin refits (`scalinglab.analysis.intervals.rolling`) is added.
            All of it `inflation` times as wide.
        beside : sequence of Result, optional
            Fits of other laws to the same points. Beyond the range, how far they depart from this
            one is added too.

        Returns
        -------
        DataFrame
            Index of `data`; the law's response, ``inside`` (within the measured range of every
            column and, if the fit has resamples, of their product: N and D together are the
            budget), ``beyond`` (how many times outside it, 1 inside) and, with `level`, ``lower``
            and ``upper``: NaN where too many resamples, or a refit, predict what no response can be
            (`scalinglab.analysis.intervals.spread`); ``impossible`` is the share of the resamples that do.
        """
        columns = self.columns_of(data)
        values = np.array([list(self.params.values())])
        beyond = self._beyond(columns, len(data))
        table = pd.DataFrame(
            {
                self.law.response: self.law.predict(values, columns)[0],
                "inside": beyond <= 1 + 1e-9,
                "beyond": beyond,
            },
            index=data.index,
        )
        if level is not None:
            doubt = self._doubt_of_law(columns, data, table, beside)
            ends, impossible = self._predicted_interval(columns, doubt, _checked(level))
            table["lower"], table["upper"], table["impossible"] = *ends, impossible
        return table

    def columns_of(self, data: pd.DataFrame) -> dict[str, Array]:
        """What the law reads from a table that has the fitted one's names, or the law's own."""
        data = with_multiples(as_floats(data), self.columns)
        names = {
            name: source
            for name, source in self.columns.items()
            if source in data.columns or name not in data.columns
        }
        renamed = rename_columns(self.law, data, names, response=False)
        return self.law.read(rename(data.reset_index(drop=True), renamed))

    def _doubt_of_law(
        self, columns: dict[str, Array], data: pd.DataFrame, table: pd.DataFrame, beside: Sequence
    ) -> Array:
        """Standard deviation of the law on its scale, beside the doubt about its parameters: none
        inside the range, NaN where a refit or another law has no possible value."""
        best = np.array([list(self.params.values())])
        squared = self.origins.wander(self.law, best, columns, self.scale) ** 2
        if beside:
            here = self.scale.of(table[self.law.response].to_numpy())
            others = [
                self.scale.of(b.predict(data)[b.law.response].to_numpy()) - here for b in beside
            ]
            share = 1 - 1 / np.maximum(table["beyond"].to_numpy(), 1)  # comes in gradually
            squared += share * np.mean(np.square(others), axis=0)
        return np.where(table["inside"], 0, np.sqrt(squared))

    def simulate(self, data: pd.DataFrame) -> Array:
        """What new measurements could be: one row a resample, shape (resamples, rows of `data`).

        Each row is one law that could be, with the noise of the points on top; beyond the measured
        range it wanders off as rolling-origin refits do. The intervals of `predict` are its
        quantiles, before they are widened by a record. NaN where the law has no possible value.

        Raises
        ------
        ValueError
            If the fit was made without resamples.
        """
        self._need_draws()
        columns = self.columns_of(data)
        doubt = self._doubt_of_law(columns, data, self.predict(data), ())
        blocks = [part for _, part in self._measurable(columns, doubt)]
        return np.clip(np.concatenate(blocks, axis=1), *self.law.span)

    def _predicted_interval(
        self, columns: dict[str, Array], doubt: Array, level: float
    ) -> tuple[Array, Array]:
        """Ends, shape (2, rows), and each row's share of resamples without a possible value."""
        self._need_draws()
        first, same = _twins(columns, doubt)
        columns, doubt = (
            {name: column[..., first] for name, column in columns.items()},
            doubt[first],
        )
        ends, impossible = np.empty((2, len(doubt))), np.empty(len(doubt))
        for part, drawn in self._measurable(columns, np.nan_to_num(doubt)):
            ends[:, part] = quantiles(drawn, level)
            impossible[part] = np.isnan(drawn).mean(axis=0)
        ends[:, np.isnan(doubt)] = np.nan
        ends, impossible = ends[:, same], impossible[same]
        return np.clip(widened(*ends, self.inflation, self.scale), *self.law.span), impossible

    def _measurable(self, columns: dict[str, Array], doubt: Array) -> Iterator[tuple[slice, Array]]:
        """Measurements that could be, shape (resamples, some rows), with the place of the rows:
        whole curves under all resamples do not fit in memory."""
        rng = np.random.default_rng(self.settings["seed"])
        wandering = wanderings(len(self.draws), self.settings["seed"])
        length = max(1, _BLOCK // len(self.draws))
        for at in range(0, len(doubt), length):
            part = slice(at, at + length)
            within = {name: column[..., part] for name, column in columns.items()}
            drawn = self.law.predict(self.draws.to_numpy(), within)
            drawn = self.scale.of(self.scale.possible(drawn))
            drawn = drawn + rng.choice(self.noise_sample, size=drawn.shape)
            yield part, self.scale.back(drawn + np.outer(wandering, doubt[part]))

    @property
    def noise_sample(self) -> Array:
        """Errors, on the scale of the fit, that a new measurement may have: the residuals, as
        widened as the fit narrowed them and no smaller than the known noise, both ways."""
        spare = max(self.points - len(self.free), 1)
        errors = self.residuals * np.sqrt(self.points / spare)
        size = float(np.sqrt(np.mean(errors**2)))
        if self.noise is not None and self.noise > size:
            errors = errors * (self.noise / size) if size > 0 else np.array([self.noise])
        return np.concatenate([errors, -errors])

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters that were fitted."""
        held = {**self.settings["fixed"], **self.settings["tied"]}
        return tuple(name for name in self.params if name not in held)

    def report(self) -> str:
        """The fit as text: statistics, parameters, correlations, warnings."""
        from scalinglab.analysis.fitting.fit_text import render

        return render(self)

    def save(self, path: str | Path) -> None:
        """Write the fit as JSON, to be read by `analysis.read_fit`."""
        from scalinglab.analysis.fitting.store import write_fit

        write_fit(self, path)

    def _beyond(self, columns: dict[str, Array], n: int) -> Array:
        beyond = self.origins.beyond(columns) if len(self.origins) else np.ones(n)
        for name, (low, high) in self.ranges.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                beyond = np.fmax(beyond, np.fmax(columns[name] / high, low / columns[name]))
        return beyond

    def _need_draws(self) -> None:
        if not len(self.draws):
            raise ValueError("this fit has no intervals: it was made with resamples=0")


def _twins(columns: dict[str, Array], doubt: Array) -> tuple[Array, Array]:
    """Rows that differ, in their order, and which of them each row is: equal points have one
    interval, whatever noise is drawn for each. Rows of whole curves are all taken to differ."""
    every = np.arange(len(doubt))
    if any(column.ndim > 1 for column in columns.values()):
        return every, every
    table = pd.DataFrame({**columns, "": doubt})
    group = table.groupby(list(table), sort=False, dropna=False).ngroup().to_numpy()
    return np.flatnonzero(~pd.Series(group).duplicated()), group


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} must lie between 0 and 1")
    return level
