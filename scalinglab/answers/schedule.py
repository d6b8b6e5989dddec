"""The learning-rate schedule of least predicted loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.laws import find
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.answers.fit import FitOptions, fit_table
from scalinglab.options import RESAMPLES, option
from scalinglab.scaling.fields import ABOVE_0, Within
from scalinglab.source import Source

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.best_schedule import BestSchedule
    from scalinglab.analysis.fitting.result import Result


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions(FitOptions):
    """Options of a search: those of a fit of whole curves, and the constraints."""

    steps: int = option("length of the run", within=Within(1))
    peak: float | None = option(
        "highest learning rate; default: the highest of the fitted curves", None, ABOVE_0
    )
    warmup: int = option("steps from zero to the peak", 0, Within(0))
    final_ratio: float = option("lowest learning rate after the warm-up, over the peak", 0.0)
    monotone: bool = option("the learning rate never rises after the warm-up", True)
    N: float | None = option("size of the model, for laws that depend on it", None, ABOVE_0)
    refits: bool = option("check the gain by refits that leave out one curve each", True)
    law: str | None = option("a law of curves; default: that of the study, or multi_power", None)
    resamples: int = option("bootstrap refits for the intervals; 0: no intervals", 200, RESAMPLES)


@dataclass(frozen=True, repr=False)
class ChosenSchedule(Shown):
    """A schedule under a fitted law of curves.

    Attributes
    ----------
    fit : Result
    best : BestSchedule
    peak : float
    """

    fit: Result
    best: BestSchedule
    peak: float

    @property
    def shown(self) -> Overview:
        """As `Shown`: the schedule, and the warnings of the fit as well."""
        return self.best.shown.also(warnings=self.warnings)

    @property
    def warnings(self) -> list[str]:
        """The warnings of the fit and of the search, each once."""
        return list(dict.fromkeys([*self.fit.warnings, *self.best.warnings]))


def schedule(
    source: Source, options: ScheduleOptions, on_fit: Callable[[Result], object] = lambda fit: None
) -> ChosenSchedule:
    """Fit a law of curves and search the schedule of least predicted final loss.

    Parameters
    ----------
    source : Source
    options : ScheduleOptions
    on_fit : callable
        Called with the fit at once: the search may take long, or be refused.

    Raises
    ------
    UserError
        If there are no curves, the law is not of curves, or a constraint is impossible.
    """
    options = replace(options, law=options.law or source.curve_law)
    find(str(options.law))  # refuses a mixture before anything is fitted
    curves, law = source.runs(options, options.law)
    result = fit_table(source, curves, law, options)
    on_fit(result)
    peak = float(curves["lr"].max()) if options.peak is None else options.peak
    best = analysis.best_schedule(
        result,
        options.steps,
        peak=peak,
        warmup=options.warmup,
        refits=options.refits,
        N=options.N,
        final_ratio=options.final_ratio,
        monotone=options.monotone,
        level=options.level,
    )
    return ChosenSchedule(result, best, peak)
