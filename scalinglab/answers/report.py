"""The answer to a study's question: its law and its decisions, or a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.forecasts import track
from scalinglab.analysis.intervals.power import LEVEL
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.facts import facts_of_answer, facts_of_verdict, facts_without_law
from scalinglab.analysis.reporting.reported_runs import RunsWithoutLaw
from scalinglab.analysis.reporting.written import ANSWER, PAGE
from scalinglab.analysis.tables.point_checks import TooFewPoints
from scalinglab.options import BootstrapOptions, VersionOptions, option
from scalinglab.run_options import loss_column
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.text.plain import plain
from scalinglab.source import StudySource

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(BootstrapOptions, VersionOptions):
    """Options of an answer."""

    arm: str | None = option("a setting whose two values are compared: optimizer.name", None)
    between: list[str] = option("the two values: baseline A and B, where there are more", [])
    multiverse: bool = option(
        "how the answer varies with each analysis choice: some fifty more fits", True
    )
    laws: bool = option(
        "what laws predict of budgets that they have not seen: which is best, or cannot be told",
        True,
    )
    widen: bool = option("widen intervals of losses by how wrong earlier forecasts were", True)
    exclude: list[str] = option(
        "fitted runs that the report leaves out, by name (unfinished, mid_schedule)"
        " or condition: 'exclude=[D < 1e9]'; held-out runs stay",
        [],
    )
    columns: dict[str, str | float] = option(
        "columns.loss=loss.STORE takes another validation set as the loss", {}
    )


def answer(source: StudySource, options: AnswerOptions) -> Answer | RunsWithoutLaw | Verdict:
    """Answer the question of a study, by the kind of answer that it asks for.

    A verdict's predictions for untrained runs are kept, so that they can be judged later. If the
    finished runs do not determine the law, the answer has their losses and the reason.

    Raises
    ------
    UserError
        If there is no such study, none of its runs has ended, or they do not carry a verdict.
    """
    loss = loss_column(options.columns)
    if (kind := source.answer.kind) != "law":
        if options.arm or options.between:
            raise ConfigError(
                f"study {source.name!r} asks for the verdict {kind}, which compares no arms: "
                "scaling compare does"
            )
        if options.exclude:
            raise ConfigError(
                f"study {source.name!r} asks for the verdict {kind}, which is given on all its"
                " runs: exclude is for studies with a law"
            )
        verdict = analysis.give_verdict(source.outputs, source.name, loss)
        if verdict.finding.forecasts is not None:
            track.remember(source.outputs, source.name, verdict.finding.forecasts, LEVEL)
        return verdict
    shared: dict[str, Any] = {
        "resamples": options.resamples,
        "seed": options.seed,
        "arm": options.arm,
        "between": options.between,
        "calibrate": options.widen,
        "loss": loss,
        "exclude": options.exclude,
    }
    try:
        return analysis.answer_study(
            source.outputs,
            source.name,
            mix_fingerprints=options.mix_fingerprints,
            multiverse=options.multiverse,
            laws=options.laws,
            **shared,
        )
    except TooFewPoints as error:
        return analysis.runs_without_law(source.outputs, source.name, str(error), **shared)


def facts(answer: Answer | RunsWithoutLaw | Verdict) -> dict[str, Any]:
    """All numbers of an answer."""
    if isinstance(answer, Answer):
        return facts_of_answer(answer)
    if isinstance(answer, RunsWithoutLaw):
        return facts_without_law(answer)
    return facts_of_verdict(answer)


def write_page(answer: Answer | RunsWithoutLaw | Verdict, to: str | Path | None = None) -> Path:
    """Write an answer as one self-contained HTML page.

    Parameters
    ----------
    answer : Answer, RunsWithoutLaw or Verdict
    to : path, optional
        The page; default: report.html in the study's folder, with the numbers in answer.json.

    Returns
    -------
    Path
        The page.
    """
    folder = answer.outputs / "studies" / answer.study
    path = Path(to or folder / PAGE)
    if isinstance(answer, Answer | RunsWithoutLaw):
        analysis.write_report(answer, path)
    else:
        analysis.write_verdict(answer, path)
    if not to:
        write_json(folder / ANSWER, plain(facts(answer)))
    return path
