"""The most informative next runs for a target, per hour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.candidate_runs import ChoiceOptions, candidate_runs, finished_runs, write_study
from scalinglab.options import option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.study_name import check_study_name
from scalinglab.source import StudySource

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.next_runs import NextRuns


@dataclass(frozen=True, kw_only=True)
class NextOptions(ChoiceOptions):
    """Options of a choice of next runs."""

    to: str | None = option("a study to write: conf/study/NAME.yaml", None)


@dataclass(frozen=True)
class ChosenRuns:
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
    """

    target: str
    choice: NextRuns
    note: str
    written: str | None
    loss: str = "loss"


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
    if options.to is not None:
        _check_file(options.to)
    target = analysis.read_target(options.target)
    runs, law = finished_runs(source, options.law, options.loss)
    planned = candidate_runs(compose(), options.grid)
    result = analysis.fit(
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
    if options.widen and options.loss is None:  # earlier forecasts were of the runs' own losses
        result = source.calibrated(result)
    choice = analysis.choose_next(
        result, target, planned.table, budget=options.budget, most=options.runs, level=options.level
    )
    if options.to is not None:
        write_study(Path(options.to), file, choice.table)
    return ChosenRuns(options.target, choice, planned.note, options.to, options.loss or "loss")


def _check_file(to: str) -> None:
    if Path(to).suffix != ".yaml" or Path(to).parent.name != "study":
        raise ConfigError(f"to = {to!r}: a study's file is conf/study/NAME.yaml")
    check_study_name("to: NAME", Path(to).stem)
