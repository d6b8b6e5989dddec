"""``scaling report``: answer a study's question and write the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.progress import steps
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.reported_runs import RunsWithoutLaw, TextTable
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.report import AnswerOptions, answer, facts, write_page
from scalinglab.changed_answer import changed_answer
from scalinglab.destination import Unwritten, check_destination
from scalinglab.options import option
from scalinglab.source import StudyOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class ReportOptions(StudyOptions, AnswerOptions):
    """Options of ``scaling report``."""

    to: str | None = option("the page; default: outputs/studies/NAME/report.html", None)


@dataclass(frozen=True)
class Report:
    """An answer and its page."""

    answer: Answer | RunsWithoutLaw | Verdict
    page: Path | None
    unwritten: Unwritten | None = None
    changed: str = ""
    code = 0

    def as_json(self) -> dict[str, Any]:
        """The answer in a sentence, what to be careful about, and all that it says, in numbers."""
        return facts(self.answer) | {"report": self.page}

    def show(self, screen: Screen) -> None:
        """The question, the answer in a sentence, what to be careful about, the rest, its page."""
        if self.answer.question:
            screen.say(in_powers(f"{self.answer.question}\n"))
        screen.say(self.answer.headline(), style="bold")
        if cautions := self.answer.cautions():
            screen.say("")
        for caution in cautions:
            screen.say(in_powers(f"! {caution}"), style="yellow")
        for part in self.answer.details():
            if isinstance(part, TextTable):
                screen.say("")
                screen.table(part.table, title=in_powers(part.title))
                if part.note:
                    screen.say(part.note)
            else:
                screen.say(in_powers(f"\n{part}"))
        if isinstance(self.answer, RunsWithoutLaw):
            screen.say("")
            screen.table(self.answer.table(), title="The runs")
        elif not isinstance(self.answer, Answer):
            for title, table in self.answer.finding.tables.items():
                screen.say("")
                screen.table(with_intervals(table), title=title)
        if self.changed:
            screen.say(f"\n! {self.changed}", style="yellow")
        if self.page is not None:
            screen.say(f"\nreport: {self.page}")


def run(options: ReportOptions, screen: Screen) -> Report:
    """Answer a study's question in words and as one self-contained HTML file.

    If the runs do not determine the law, their losses are shown, with the reason. A study whose
    answer.kind is not "law" gets the verdict of its kind: numbers, sentences, figures. For other
    studies, runs that have not ended are forecast and earlier forecasts judged; arm=optimizer.name
    compares two recipes and labels each run. For the largest budget the report also says how the
    answer varies with each analysis choice, by some fifty more fits; multiverse=false skips these.
    """
    check_destination("to", options.to, "report")
    with steps(2) as begin:
        begin("")  # its own parts are named
        result = answer(options.source, options)
        changed = changed_answer(options.outputs_path, options.study)
        begin("page and figures")
        try:
            return Report(result, write_page(result, options.to), changed=changed)
        except OSError as error:
            return Report(result, None, error, changed)


VERB = Verb(
    "answer a study's question; write the HTML report",
    "scaling report study=NAME [to=report.html] [arm=optimizer.name]",
    run,
    ReportOptions,
    shows_bar=True,
)
