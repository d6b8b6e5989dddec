"""The most informative next runs for a target, per hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.decisions.beyond_table import candidates_of_table
from scalinglab.analysis.decisions.cost_functions import named_cost
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.candidate_runs import ChoiceOptions, candidate_runs, finished_runs, write_study
from scalinglab.options import option
from scalinglab.run_options import CountOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0
from scalinglab.scaling.records.study_name import check_study_name
from scalinglab.source import FileSource, Source, StudySource

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.decisions.next_runs import NextRuns
    from scalinglab.analysis.decisions.target import Target
    from scalinglab.analysis.fitting.result import Result

HOURS = "device-hours"
PRECISION = "expected precision"  # heading of the half-width of the target's interval


@dataclass(frozen=True, kw_only=True)
class NextOptions(ChoiceOptions):
    """Options of a choice of next runs."""

    to: str | None = option("a study to write: scaling_conf/study/NAME.yaml", None)
    flops: float | None = option(
        "with data=FILE: FLOPs to spend, as 6 N D; hours= needs its column tokens_per_second",
        None,
        ABOVE_0,
    )
    unit: str | None = option(
        "unit of the losses in a file: nats, bits, bits_per_byte or perplexity", None
    )


@dataclass(frozen=True, repr=False)
class ChosenRuns(Shown):
    """Runs to train next.

    Attributes
    ----------
    target : str
        The target, as it was written.
    choice : NextRuns
        The chosen candidates, and how well the target is known now and expected to be then.
    note : str
        Why some candidates were left out; else empty.
    written : str or None
        The file of a study with the old runs and the chosen ones.
    loss : str
        The column that is taken as the loss.
    unit : str
        Of the cost of the runs.
    warnings : tuple of str
        Of the fit by which they were chosen.
    """

    target: str
    choice: NextRuns
    note: str
    written: str | None
    loss: str = "loss"
    unit: str = HOURS
    warnings: tuple[str, ...] = ()

    @property
    def shown(self) -> Overview:
        """As `Shown`: how well the target is known before and after the runs, and the runs."""
        choice = self.choice
        names = {"cost": self.unit, "spent": f"total {self.unit}", "half_width": PRECISION}
        table = choice.table.drop(columns="tokens", errors="ignore").rename(columns=names)
        if table.index.name == "run_id":
            table = table.rename_axis("run").reset_index()
        widened = calibration_in_words(choice.calibration_factor)
        sentences = [self.note, f"The interval of the target is {widened}." if widened else ""]
        nothing = "no affordable candidate is informative about the target"
        return Overview(
            self.known(),
            {"": table},
            tuple(filter(None, sentences)),
            self.warnings if len(table) else (*self.warnings, nothing),
        )

    def known(self) -> str:
        """How well the target is known now, and is expected to be after the chosen runs."""
        choice = self.choice
        count = len(choice.table)
        runs = "this run" if count == 1 else f"these {count} runs"
        expected = f"; expected after {runs}: within {choice.then:.2%}" if count else ""
        allowed = choice.tolerance
        asked = f"; asked for: {allowed:.2%}" if allowed is not None else ""
        return f"{self.target}: known within {choice.now:.2%}{expected}{asked}"


def next_runs(
    source: StudySource, file: str, compose: Callable[[], Mapping[str, Any]], options: NextOptions
) -> ChosenRuns:
    """Choose the candidates that narrow the target's interval most for their cost.

    Parameters
    ----------
    source : StudySource
        The finished runs.
    file : str
        The study's file, which the written study extends.
    compose : callable
        Gives the configuration of the study: what further runs would be.
    options : NextOptions

    Raises
    ------
    UserError
        If the target cannot be read, the study has no runs to fit, a candidate cannot be trained,
        or the fit gives no interval to choose by.
    """
    for key, value in (("flops", options.flops), ("unit", options.unit)):
        if value is not None:
            raise ConfigError(
                f"{key} = {value} is for data=FILE: runs of a study cost hours= and have losses in "
                "nats per token"
            )
    if options.to is not None:
        _check_file(options.to)
    target = analysis.read_target(options.target)
    runs, law = finished_runs(source, options.law, options.loss)
    planned = candidate_runs(compose(), options.grid)
    result = _fitted(source, law, runs, target, options)
    if options.widen and options.loss is None:  # earlier forecasts were of the runs' own losses
        result = source.calibrated(result)
    choice = analysis.choose_next(
        result, target, planned.table, budget=options.budget, most=options.runs, level=options.level
    )
    if options.to is not None:
        write_study(Path(options.to), file, choice.table)
    return ChosenRuns(
        options.target,
        choice,
        planned.note,
        options.to,
        options.loss or "loss",
        warnings=tuple(result.warnings),
    )


def next_of_file(source: FileSource, options: NextOptions) -> ChosenRuns:
    """Choose the N and D at which further runs narrow the target's interval most for their cost.

    Raises
    ------
    UserError
        If an option needs a study, the table lacks a column, or as `next_runs`.
    """
    if options.to is not None:
        raise ConfigError(
            f"to = {options.to!r}: a study is written from a study, and {source.path} names none"
        )
    if options.flops is not None and options.hours is not None:
        raise ConfigError("hours and flops both say what may be spent: give one of them")
    if unknown := sorted(set(options.grid) - {"N", "D"}):
        raise ConfigError(
            f"grid.{unknown[0]}: with data=FILE candidates are sizes and tokens: grid.N=[...] and"
            " grid.D=[...]"
        )
    target = analysis.read_target(options.target)
    runs, law = source.runs(CountOptions(columns=options.columns, unit=options.unit), options.law)
    if options.hours is not None and "tokens_per_second" not in runs:
        raise ConfigError(
            f"hours = {options.hours:g}: {source.path} has no column tokens_per_second, by which"
            " hours are told; flops= limits 6 N D instead"
        )
    cost = named_cost("6nd" if options.hours is None else "hours", runs)
    result = _fitted(source, law, runs, target, options)
    planned = candidates_of_table(runs, cost, *(_numbers(options.grid, name) for name in "ND"))
    budget = options.budget if options.flops is None else options.flops
    choice = analysis.choose_next(
        result, target, planned, budget=budget, most=options.runs, level=options.level
    )
    warnings = tuple(result.warnings)
    return ChosenRuns(options.target, choice, "", None, unit=cost.unit, warnings=warnings)


def _fitted(
    source: Source, law: str, runs: pd.DataFrame, target: Target, options: NextOptions
) -> Result:
    """The law by which runs are chosen."""
    return analysis.fit(
        law,
        runs,
        resamples=options.resamples,
        seed=options.seed,
        delta=source.delta,
        level=options.level,
        exclude=options.exclude,
        mix_fingerprints=options.mix_fingerprints,
        beyond=times_beyond(runs, target.compute),
    )


def _numbers(grid: Mapping[str, Any], name: str) -> list[float]:
    """The values of an axis of the candidates; empty if nobody named it."""
    values = grid.get(name, [])
    values = values if isinstance(values, list) else [values]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise ConfigError(f"grid.{name} = {grid[name]}: allowed are numbers, as in [1e8,2e8]")
    return [float(v) for v in values]


def _check_file(to: str) -> None:
    if Path(to).suffix != ".yaml" or Path(to).parent.name != "study":
        raise ConfigError(
            f"to = {to!r}: a study's file is scaling_conf/study/NAME.yaml or conf/study/NAME.yaml"
        )
    check_study_name("to: NAME", Path(to).stem)
