"""A fitted law: its parameters, and everything needed to judge them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.diagnosis import Diagnosis
from scalinglab.analysis.intervals.left_out import NONE_LEFT_OUT, LeftOutRuns
from scalinglab.analysis.intervals.measured import Measured
from scalinglab.analysis.intervals.rolling import NO_ORIGINS, Origins
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.laws.error_scale import ERROR_SCALES, ErrorScale
from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.errors import UserError

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class FittedLaw:
    """A law with its fitted parameters, and how they were fitted.

    Attributes
    ----------
    law : Law
    params : dict of str to float
        Best value of every parameter.
    draws : DataFrame
        One row per resample, one column per parameter: the intervals come from these.
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
        The fitted range of each column, of the points that do not lie far from the law.
    measured : Measured
        The ranges of columns, ratios and product, by which a point lies inside or beyond.
    runs : tuple of str
        Runs that the points come from, where the table names them.
    excluded : dict of str to int
        Reason for leaving out rows -> number of rows.
    held_out : dict or None
        How well the same fit without the largest scale predicts that scale
        (`scalinglab.analysis.fitting.extrapolation`).
    origins : Origins
        Refits without the outermost points, which widen predictions beyond the range.
    left_out : LeftOutRuns
        Of laws of curves: refits without one curve each, which widen predictions of schedules.
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
    measured: Measured
    runs: tuple[str, ...] = ()
    excluded: dict[str, int] = field(default_factory=dict)
    held_out: dict | None = None
    origins: Origins = NO_ORIGINS
    left_out: LeftOutRuns = NONE_LEFT_OUT
    warnings: tuple[str, ...] = ()

    @property
    def scale(self) -> ErrorScale:
        """The scale of residuals and noise: relative (logarithms) or absolute."""
        return ERROR_SCALES[self.settings["errors"]]

    @property
    def calibration_factor(self) -> float:
        """The factor by which intervals of predictions are widened; 1 unless `calibrated`."""
        return float(self.settings.get("inflation", 1.0))

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.params.items())
        return f"<{self.law.name} fitted to {self.points} points: {values}>"

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Lower and upper end of a parameter's interval.

        Raises
        ------
        UserError
            If there is no such parameter, or the fit was made without resamples.
        """
        if name not in self.params:
            allowed = ", ".join(self.params)
            raise UserError(f"{self.law.name} has no parameter {name!r}, only {allowed}")
        self.need_draws()
        low, high = quantiles(self.draws[name].to_numpy(), checked_level(level))
        return float(low), float(high)

    @property
    def summary(self) -> pd.DataFrame:
        """One row per parameter: value, interval, standard error, and whether to believe it."""
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

    @property
    def overview(self) -> pd.DataFrame:
        """What a reader looks at first: the parameters."""
        return self.summary

    @property
    def free(self) -> tuple[str, ...]:
        """Parameters that were fitted."""
        fixed = {**self.settings["fixed"], **self.settings["tied"]}
        return tuple(name for name in self.params if name not in fixed)

    @property
    def noise_sample(self) -> Array:
        """Errors that a new measurement may have, on the scale of the fit.

        They are the residuals with both signs, widened for the free parameters, and scaled up to
        the known noise if they are smaller.
        """
        spare = max(self.points - len(self.free), 1)
        errors = self.residuals * np.sqrt(self.points / spare)
        size = float(np.sqrt(np.mean(errors**2)))
        if self.noise is not None and self.noise > size:
            errors = errors * (self.noise / size) if size > 0 else np.array([self.noise])
        return np.concatenate([errors, -errors])

    def need_draws(self) -> None:
        """Raise `UserError` if the fit was made without resamples."""
        if not len(self.draws):
            raise UserError("this fit has no intervals: it was made with resamples=0")


def checked_level(level: float) -> float:
    """The level of an interval, if it is one.

    Raises
    ------
    UserError
        If it does not lie between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f"level={level!r} must lie between 0 and 1")
    return level
