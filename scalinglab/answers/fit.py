"""A law fitted to the runs of a study or of a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.fitting.objective import DELTA
from scalinglab.analysis.fitting.threshold import WORDS
from scalinglab.analysis.laws.parameter import NO_PRIORS
from scalinglab.options import IntervalOptions, option
from scalinglab.run_options import CountOptions
from scalinglab.scaling.fields import Within
from scalinglab.source import Source

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.fitting.result import Result


def delta_option() -> Any:
    """The option for the threshold of the fit's cost."""
    return option(
        "Huber threshold on log residuals: a number, published (0.001) or scaled (to the residuals'"
        " spread); default: that of the study, or published, and scaled for noisy curves",
        None,
        DELTA,
        among=WORDS,
    )


@dataclass(frozen=True, kw_only=True)
class FitOptions(CountOptions, IntervalOptions):
    """Options of everything that fits a law first."""

    law: str | None = option(
        "the law to fit, or auto: an average of laws; default: that of the study, or chinchilla",
        None,
    )
    exclude: list[str] = option(
        "rows to leave out, by name (unmeasured, unfinished, mid_schedule)"
        " or condition: 'exclude=[unmeasured,D < 1e9]'",
        [],
    )
    delta: float | str | None = delta_option()
    priors: str = option(
        "law: with what the law itself knows of its parameters beforehand; none: without",
        "law",
        among=("law", NO_PRIORS),
    )
    widen: bool = option(
        "widen intervals of a study's losses by how wrong earlier forecasts were", True
    )


@dataclass(frozen=True, kw_only=True)
class OneFitOptions(FitOptions):
    """Options of a fit that is the answer itself."""

    x: str | None = option("for a law in one variable: the column that varies", None)
    beyond: float | None = option(
        "with law=auto: how many times beyond the largest budget the question lies; default 2",
        None,
        Within(1),
    )


@dataclass(frozen=True, kw_only=True)
class SaveOptions:
    """Where the commands that fit a law save the fit."""

    save: str | None = option("a JSON file for the fit; analysis.read_fit reads it", None)


def fit(source: Source, options: OneFitOptions) -> Result:
    """Fit a law to the runs of a source.

    Raises
    ------
    UserError
        If the source has no runs to fit, or as `analysis.fit`.
    """
    table, law = source.runs(options, options.law, options.x)
    return fit_table(source, table, law, options, x=options.x, beyond=options.beyond)


def fit_table(
    source: Source, table: pd.DataFrame, law: str, options: FitOptions, **more: Any
) -> Result:
    """Fit a law to a table from the source; `more` goes to `analysis.fit`."""
    result = analysis.fit(
        law,
        table,
        columns=options.columns or None,
        resamples=options.resamples,
        seed=options.seed,
        delta=source.delta if options.delta is None else options.delta,
        level=options.level,
        exclude=options.exclude,
        mix_fingerprints=options.mix_fingerprints,
        priors=NO_PRIORS if options.priors == NO_PRIORS else {},
        **more,
    )
    is_own_loss = result.columns.get("loss", "loss") == "loss"  # what earlier forecasts were of
    return source.calibrated(result) if options.widen and is_own_loss else result
