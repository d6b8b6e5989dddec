"""The forecast of a run's final loss, with its interval, as data and text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import calibration_in_words, scaled_interval
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.shown import KeepsTable, Overview, Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class Forecast(KeepsTable, Shown):
    """The forecast of an unfinished run's final loss.

    Attributes
    ----------
    loss, lower, upper : float
        Forecast, and the interval in which the measured loss falls with probability `level`.
    level : float
    share : float
        The share of the run's steps that its curve covers: 0 for a run that has not begun.
    law : Result
        The fit to the curves of other runs.
    kept : float
        The share of its distance from the law that a run keeps.
    hindcast : DataFrame
        One row per run that was forecast likewise: ``run, forecast, measured, error`` (of the
        logarithm).
    calibration_factor : float
        The factor by which the record of earlier forecasts widened the interval.
    beyond : float
        How many times beyond the fitted curves the end of the run lies; 1 inside.
    note : str
        Sources of error that the interval cannot include.
    table : DataFrame or None
        The run that was forecast, for figures; a pickle is without it.
    """

    loss: float
    lower: float
    upper: float
    level: float
    share: float
    law: Result
    kept: float
    hindcast: pd.DataFrame
    calibration_factor: float = 1.0
    beyond: float = 1.0
    note: str = ""
    table: pd.DataFrame | None = field(default=None, compare=False)

    @property
    def shown(self) -> Overview:
        """As `Shown`: the final loss with its interval."""
        row: dict[str, Any] = {
            "loss": self.loss,
            "loss_lower": self.lower,
            "loss_upper": self.upper,
        }
        row |= {"measured part": f"{self.share:.0%}", "law": self.law.law.name}
        table = pd.DataFrame([row])
        return Overview(
            f"Forecast of the final loss, {self.level:.0%} interval", {"": table}, (self.report(),)
        )

    def plot(self, target: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
        """The measured part of the run and what is ahead.

        Parameters
        ----------
        target : DataFrame, optional
            The run that was forecast; default: as it was then.
        ax : Axes, optional

        Raises
        ------
        UserError
            If `target` is left out and the forecast was read from a file.
        """
        return self._draw("forecast", self, self._table(target, "target"), ax=ax)

    @property
    def inside(self) -> bool:
        """Whether the law was asked for nothing beyond the curves that it was fitted to."""
        return self.beyond <= 1 + 1e-9

    def calibrated(self, factor: float) -> Forecast:
        """The forecast with an interval `factor` times as wide (``analysis.forecasts.track``)."""
        ends = np.array([self.lower]), np.array([self.upper])
        lower, upper = scaled_interval(*ends, factor, RELATIVE)
        return replace(
            self,
            lower=float(lower[0]),
            upper=float(upper[0]),
            calibration_factor=factor * self.calibration_factor,
        )

    def report(self) -> str:
        """The forecast in two sentences."""
        missed = self.hindcast["error"].abs().mean() if len(self.hindcast) else np.nan
        checked = (
            f"the same forecast of {len(self.hindcast)} finished runs had a mean error of "
            f"{missed:.2%}"
            if len(self.hindcast)
            else "too few finished runs to test the forecast"
        )
        where = "" if self.inside else f", {self.beyond:.2g}x beyond the fitted curves"
        wider = (
            f"; the interval is {calibration_in_words(self.calibration_factor)}"
            if self.calibration_factor > 1
            else ""
        )
        note = f"; {self.note}" if self.note else ""
        return (
            f"final loss {self.loss:.4f} ({self.lower:.4f} to {self.upper:.4f}, {self.level:.0%})"
            f" from {self.share:.0%} of the curve by {self.law.law.name}{where}; {checked}{wider}"
            f"{note}"
        )
