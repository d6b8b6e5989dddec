"""The result of a fit, with predictions from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit_text import render, residuals_in_words
from scalinglab.analysis.fitting.fitted_law import FittedLaw, checked_level
from scalinglab.analysis.fitting.store import write_fit
from scalinglab.analysis.intervals.rolling import t_draws
from scalinglab.analysis.intervals.spread import quantiles, scaled_interval, values_with_intervals
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.shown import KeepsTable, Overview, Shown
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import as_law_columns, rename_columns
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.thinning import FEW_ROWS, between_rows, told_rows
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

_BLOCK = 1 << 21  # predictions of resamples that are held at once
_LOSSES = ("loss", "best_loss")  # quantities whose intervals the record of forecasts calibrates


@dataclass(frozen=True, eq=False, repr=False)
class Result(KeepsTable, FittedLaw, Shown):
    """A fitted law that predicts; its attributes are those of `FittedLaw`.

    Attributes
    ----------
    table : DataFrame or None
        The table that was given to the fit, for figures; None of a fit that was read from a file.
    """

    table: pd.DataFrame | None = field(default=None, kw_only=True)

    @property
    def shown(self) -> Overview:
        """As `Shown`: the parameters, and what the fit warns of."""
        table = self.overview.reset_index()
        table = table.rename(columns={"lower": "value_lower", "upper": "value_upper"})
        table = table.drop(columns="standard_error", errors="ignore")
        title = f"{self.law.name} fitted to {self.points} points in {self.clusters} groups"
        residuals = f"Residuals: {residuals_in_words(self)}."
        about = (residuals,) if self.scale is RELATIVE else ()
        return Overview(title, {self.law.formula: table}, about, self.warnings)

    def plot(
        self, runs: pd.DataFrame | None = None, *, ax: Axes | None = None, **options: Any
    ) -> Axes:
        """The law and the runs that it was fitted to, in the figure that suits it.

        Parameters
        ----------
        runs : DataFrame, optional
            With the columns that were fitted; of a law of curves, the curves. Default: the table
            that was fitted.
        ax : Axes, optional
        **options
            Of the figure: `analysis.plot.curves`, `loss_against_compute` or `loss_against`.

        Raises
        ------
        UserError
            If `runs` is left out and the fit was read from a file.
        """
        runs = self._table(runs, "runs")
        if self.law.curve:
            return self._draw("curves", runs, self, ax=ax, **options)
        if {"N", "D"} <= set(self.law.inputs):
            return self._draw("loss_against_compute", self, runs, ax=ax, **options)
        x = next(iter(self.law.inputs))
        return self._draw("loss_against", self, runs, x, ax=ax, **options)

    def calibrated(self, factor: float) -> Result:
        """The fit with intervals of predictions `factor` times as wide as its resamples give.

        Parameters
        ----------
        factor : float
            At least 1: from the record of earlier forecasts, `scalinglab.analysis.forecasts.track`.

        Raises
        ------
        UserError
            If the factor is below 1.
        """
        if not factor >= 1:
            raise UserError(f"factor = {factor!r} must be at least 1")
        if factor == self.calibration_factor:
            return self
        return replace(self, settings=self.settings | {"inflation": float(factor)})

    def predict(
        self,
        data: pd.DataFrame,
        level: float | None = None,
        *,
        beside: Sequence[Result] = (),
        unseen: bool = True,
    ) -> pd.DataFrame:
        """The law at other points.

        Parameters
        ----------
        data : DataFrame
            With the law's columns, under the names that the fitted table had, or else under the
            law's own. For a curve law: whole schedules, one row per step.
        level : float, optional
            Also give the interval that a new measurement falls in: the resampled laws, and on top
            of each the noise of the points. Beyond the fitted range the law itself is in doubt:
            there, the spread of rolling-origin refits (`scalinglab.analysis.intervals.rolling`) is
            added. All of it `calibration_factor` times as wide.
        beside : sequence of Result, optional
            Fits of other laws to the same points. Beyond the range, how far they depart from this
            one is added too.
        unseen : bool
            Of curve laws: whether the schedules may be unlike the fitted ones. Then intervals are
            at least as wide as refits without one curve each missed those curves' ends
            (`scalinglab.analysis.intervals.left_out`); False gives the law's own.

        Returns
        -------
        DataFrame
            Index of `data`; the law's response, ``inside`` (within the fitted range of every
            column, of their product, as N and D together are the budget, and of their ratios, as
            D / N or tokens seen over unique ones), ``beyond`` (how many times outside it, 1 inside)
            and, with `level`, ``lower`` and ``upper``: NaN where too many resamples, or a refit,
            predict what no response can be (`scalinglab.analysis.intervals.spread`); ``impossible``
            is the share of the resamples that do.
        """
        columns = self.columns_of(data)
        values = np.array([list(self.params.values())])
        beyond = self.measured.beyond(columns)
        table = pd.DataFrame(
            {
                self.law.response: self.law.predict(values, columns)[0],
                "inside": beyond == 1,
                "beyond": beyond,
            },
            index=data.index,
        )
        if level is not None:
            checked_level(level)
            doubt = self._doubt_of_law(columns, data, table, beside)
            some = self._told_rows(data, table)
            within = {name: column[..., some] for name, column in columns.items()}
            ends, impossible = self._predicted_interval(within, doubt[some], level)
            value = table[self.law.response].to_numpy()
            if self.law.curve and unseen:
                ends = self._on_unseen(within, value[some], ends, level)
            scaled = scaled_interval(ends[0], ends[1], self.calibration_factor, self.scale)
            ends = np.clip(np.array(scaled), *self.law.span)
            if len(some) < len(table):
                ends, impossible = self._between(data, some, value, ends, impossible)
            table["lower"], table["upper"], table["impossible"] = *ends, impossible
        return table

    def band(self, data: pd.DataFrame, level: float) -> pd.DataFrame:
        """The interval of the law itself at other points:
        that of `predict` without the noise of a run.

        Parameters
        ----------
        data : DataFrame
            As for `predict`.
        level : float

        Returns
        -------
        DataFrame
            ``lower`` and ``upper``, with the index of `data`.

        Raises
        ------
        UserError
            If the fit was made without resamples.
        """
        checked_level(level)
        self.need_draws()
        columns = self.columns_of(data)
        table = self.predict(data)
        doubt = self._doubt_of_law(columns, data, table, ())
        drawn = self.scale.of(self.scale.possible(self.law.predict(self.draws.to_numpy(), columns)))
        deviations = t_draws(len(self.draws), self.settings["seed"])
        ends = quantiles(self.scale.back(drawn + np.outer(deviations, np.nan_to_num(doubt))), level)
        ends[:, np.isnan(doubt)] = np.nan
        if self.law.curve:
            value = table[self.law.response].to_numpy()
            ends = self._on_unseen(columns, value, ends, level)
        scaled = scaled_interval(ends[0], ends[1], self.calibration_factor, self.scale)
        lower, upper = np.clip(np.array(scaled), *self.law.span)
        return pd.DataFrame({"lower": lower, "upper": upper}, index=data.index)

    def params_and_draws(self) -> Array:
        """The best parameters, then those of every resample that has some: (1 + draws, ...)."""
        best = np.array([list(self.params.values())])
        return np.concatenate([best, self.draws.dropna().to_numpy()])

    def values_with_intervals(self, values: Mapping[str, Array], level: float) -> dict[str, float]:
        """Each value with its interval, from its value for each row of `params_and_draws`.

        Losses have ends as far apart as the record of forecasts says; sizes, budgets and parameters
        keep the ends of their resamples: no forecast has tested them.
        """
        values = {
            name: np.append(value[:1], self.scale.possible(value[1:])) if name in _LOSSES else value
            for name, value in values.items()
        }
        row = values_with_intervals(values, level, resampled=len(self.draws) > 0)
        for lower, upper in ((f"{name}_lower", f"{name}_upper") for name in _LOSSES):
            if lower in row:
                ends = np.array([row[lower]]), np.array([row[upper]])
                low, high = scaled_interval(*ends, self.calibration_factor, self.scale)
                row[lower], row[upper] = float(low[0]), float(high[0])
        return row

    def columns_of(self, data: pd.DataFrame) -> dict[str, Array]:
        """What the law reads from a table that has the fitted one's names, or the law's own."""
        return self.law.read(self._renamed(data))

    def _renamed(self, data: pd.DataFrame) -> pd.DataFrame:
        """A table with the law's own names, numbered."""
        data = with_multiples(as_floats(data), self.columns)
        names = {
            name: source
            for name, source in self.columns.items()
            if source in data.columns or name not in data.columns
        }
        renamed = rename_columns(self.law, data, names, response=False)
        return as_law_columns(data.reset_index(drop=True), renamed)

    def _told_rows(self, data: pd.DataFrame, table: pd.DataFrame) -> Array:
        """Rows whose interval is computed: of long curves some, between which it hardly bends."""
        if not self.law.curve or len(table) <= FEW_ROWS:
            return np.arange(len(table))
        value = self.scale.of(table[self.law.response].to_numpy())
        return told_rows(self._renamed(data), value)

    def _between(
        self, data: pd.DataFrame, some: Array, value: Array, ends: Array, impossible: Array
    ) -> tuple[Array, Array]:
        """Ends and share of impossible resamples of every row, from those of some."""
        frame, middle = self._renamed(data), self.scale.of(value)
        away = self.scale.of(ends) - middle[some]
        *far, share = between_rows(frame, some, np.array([*away, impossible]))
        return self.scale.back(middle + np.array(far)), share

    def unseen_half_width(self, columns: dict[str, Array], level: float) -> Array | float:
        """How far losses of schedules unlike the fitted ones may be off, in logarithms."""

        def slopes() -> Array:
            value, jacobian = self.law.jacobian(np.array([list(self.params.values())]), columns)
            with np.errstate(all="ignore"):
                return jacobian[0] * self.scale.slope(value[0])

        return self.left_out.half_width(level, slopes)

    def _on_unseen(
        self, columns: dict[str, Array], value: Array, ends: Array, level: float
    ) -> Array:
        """Ends that allow for schedules unlike the fitted ones."""
        value, half = RELATIVE.possible(value), self.unseen_half_width(columns, level)
        return np.array(
            [np.minimum(ends[0], value * np.exp(-half)), np.maximum(ends[1], value * np.exp(half))]
        )

    def _doubt_of_law(
        self, columns: dict[str, Array], data: pd.DataFrame, table: pd.DataFrame, beside: Sequence
    ) -> Array:
        """Standard deviation of the law on its scale, beside the doubt about its parameters: none
        inside the range, NaN where a refit or another law has no possible value.
        """
        best = np.array([list(self.params.values())])
        squared = self.origins.extrapolation_std(self.law, best, columns, self.scale) ** 2
        if beside:
            own = self.scale.of(table[self.law.response].to_numpy())
            departures = [
                self.scale.of(b.predict(data)[b.law.response].to_numpy()) - own for b in beside
            ]
            share = 1 - 1 / np.maximum(table["beyond"].to_numpy(), 1)  # comes in gradually
            squared += share * np.mean(np.square(departures), axis=0)
        return np.where(table["inside"], 0, np.sqrt(squared))

    def simulate(self, data: pd.DataFrame) -> Array:
        """What new measurements could be: one row per resample, shape (resamples, rows of `data`).

        Each row is one resampled law plus the noise of the points; beyond the fitted range it
        departs as far as rolling-origin refits do. The intervals of `predict` are its quantiles,
        before calibration by a record of forecasts and what curves left out say. NaN where the law
        has no possible value.

        Raises
        ------
        UserError
            If the fit was made without resamples.
        """
        self.need_draws()
        columns = self.columns_of(data)
        doubt = self._doubt_of_law(columns, data, self.predict(data), ())
        blocks = [part for _, part in self._measurable(columns, doubt)]
        return np.clip(np.concatenate(blocks, axis=1), *self.law.span)

    def _predicted_interval(
        self, columns: dict[str, Array], doubt: Array, level: float
    ) -> tuple[Array, Array]:
        """The law's own ends, (2, rows), and each row's share of resamples without a value."""
        self.need_draws()
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
        return ends[:, same], impossible[same]

    def _measurable(self, columns: dict[str, Array], doubt: Array) -> Iterator[tuple[slice, Array]]:
        """Measurements that could be, shape (resamples, some rows), with the place of the rows:
        whole curves under all resamples do not fit in memory.
        """
        rng = np.random.default_rng(self.settings["seed"])
        deviations = t_draws(len(self.draws), self.settings["seed"])
        length = max(1, _BLOCK // len(self.draws))
        for at in range(0, len(doubt), length):
            part = slice(at, at + length)
            within = {name: column[..., part] for name, column in columns.items()}
            drawn = self.law.predict(self.draws.to_numpy(), within)
            drawn = self.scale.of(self.scale.possible(drawn))
            drawn = drawn + rng.choice(self.noise_sample, size=drawn.shape)
            yield part, self.scale.back(drawn + np.outer(deviations, doubt[part]))

    def report(self) -> str:
        """The fit as text: statistics, parameters, correlations, warnings."""
        return render(self)

    def save(self, path: str | Path) -> None:
        """Write the fit as JSON, to be read by `analysis.read_fit`."""
        write_fit(self, path)


def _twins(columns: dict[str, Array], doubt: Array) -> tuple[Array, Array]:
    """Rows that differ, in their order, and which of them each row is: equal points have one
    interval, whatever noise is drawn for each. Rows of whole curves are all taken to differ.
    """
    every = np.arange(len(doubt))
    if any(column.ndim > 1 for column in columns.values()):
        return every, every
    table = pd.DataFrame({**columns, "": doubt})
    group = table.groupby(list(table), sort=False, dropna=False).ngroup().to_numpy()
    return np.flatnonzero(~pd.Series(group).duplicated()), group
