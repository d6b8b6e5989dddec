"""The parts of a report that need no law: the runs of a study, and what is missing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.exclusion import unmet_in_words
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import in_powers, power, short
from scalinglab.analysis.tables.study_runs import (
    cautions_of_import,
    counts_of_folders,
    is_imported,
    source_files,
    with_role,
)
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.reporting.outlook import Outlook

_SAME_BUDGET = 0.1  # gap in log C between two compute budgets
_WAY_OUT = (
    "Add runs of other sizes and other numbers of tokens, or name a law with fewer parameters ({})."
)
_NAMED = 5  # runs far from the law, in a sentence
_SHOWN = ("run_id", "status", "N", "D", "C", "lr", "seed", "loss")


@dataclass(frozen=True, kw_only=True, repr=False)
class ReportedRuns(Shown):
    """The runs of a study, and the other parts of a page that need no law.

    Attributes
    ----------
    study, question : str
    outputs : Path
    runs : DataFrame
        From ``analysis.load``, all roles; with a column `arm` where arms are compared.
    unfinished : dict
        State -> number of runs of the plan without a record.
    machines : DataFrame
        Machines and versions on which the runs were trained.
    outlook : Outlook or None
        Forecasts of unfinished runs, their track record, and the comparison of arms.
    arm : str or None
        The setting that distinguishes the compared arms.
    left_out : dict
        Rule of ``exclude=`` -> number of runs that it left out; their role is "left_out".
        0 of a condition that no run met.
    """

    study: str
    question: str
    outputs: Path
    runs: pd.DataFrame
    unfinished: dict[State, int]
    machines: pd.DataFrame
    outlook: Outlook | None = None
    arm: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of the study; of an imported one also its file, which a reader knows."""
        files = source_files(self.outputs, self.study)
        if len(files) != 1:
            return self.study
        (file,) = files
        return file if Path(file).stem == self.study else f"{self.study} ({file})"

    @property
    def compared(self) -> ArmComparison | None:
        """The comparison of two arms, if there is one."""
        return None if self.outlook is None else self.outlook.arms

    @property
    def compares_arms(self) -> bool:
        """Whether two arms are compared."""
        return self.compared is not None

    def far_runs(self) -> pd.Index:
        """Runs far from a law: none without a law."""
        return self.runs.index[:0]

    @abstractmethod
    def headline(self) -> str:
        """The answer in one sentence."""

    @abstractmethod
    def sentences(self) -> list[str]:
        """All that is said of the question, a sentence or paragraph each."""

    def cautions(self) -> list[str]:
        """What a reader should be careful about."""
        rows = len(with_role(self.runs, "fit")) + sum(self.left_out.values())
        unmet = unmet_in_words(self.left_out, rows)
        of_arms = () if self.compared is None else self.compared.warnings
        taken = cautions_of_import(self.outputs, self.study)
        return [*unmet, *taken, *(warning for warning in of_arms if warning not in unmet)]

    def design_sentence(self, verb: str = "were fitted") -> str:
        """Number and range of the runs to fit, which lie far from the law, and which are missing.

        The range is that of the others, as the fitted range of the law.
        """
        fitted = with_role(self.runs, "fit")
        far = fitted[fitted.index.isin(self.far_runs())]
        near = fitted.drop(far.index)
        missing = counts_of_folders(self.unfinished)
        diverged = (self.runs["status"] == State.DIVERGED).sum()
        done = self.runs["status"] == State.DONE
        incomplete = (done & (self.runs["role"].fillna("") == "")).sum()
        swept = (self.runs["role"] == "sweep").sum()
        return (
            f"{_design_in_words(fitted)} {verb}: N {short(near['N'].min())} to "
            f"{short(near['N'].max())}, D {short(near['D'].min())} to "
            f"{short(near['D'].max())}."
            + _far_in_words(far["run_id"].astype(str).to_list())
            + "".join(
                f" {_left_out(count)} by exclude=[{rule}]."
                for rule, count in self.left_out.items()
                if count
            )
            + (f" {_left_out(diverged, 'that diverged')}." if diverged else "")
            + (f" {_left_out(incomplete, 'without N, D or a loss')}." if incomplete else "")
            + (
                f" {_left_out(swept, 'with the role sweep')}: answer.kind=tune evaluates them."
                if swept
                else ""
            )
            + (f" Not finished: {missing}." if missing else "")
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class RunsWithoutLaw(ReportedRuns):
    """A study whose runs do not determine its law: its runs and losses, and why there is no law.

    Attributes
    ----------
    why : str
        Why no law is fitted.
    """

    why: str

    @property
    def shown(self) -> Overview:
        """As `Shown`: why there is no law, and the runs."""
        tables = {"The runs": self.table()}
        sentences = tuple(filter(None, [self.question, *self.details()]))
        return Overview(self.headline(), tables, sentences, tuple(self.cautions()))

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The loss of each run against its compute."""
        return self._draw("runs", self.runs, ax=ax)

    def headline(self) -> str:
        """That there is no law, and why."""
        return f"No law can be fitted to these runs: {self.why}."

    def sentences(self) -> list[str]:
        """What the runs say without a law."""
        ahead = [] if self.outlook is None else self.outlook.sentences()
        place = (
            "law= of scaling import"
            if is_imported(self.outputs, self.study)
            else "study.answer.law"
        )
        return [self.headline(), self.design_sentence("have ended"), _WAY_OUT.format(place), *ahead]

    def table(self) -> pd.DataFrame:
        """The runs as texts: sizes, budgets, losses."""
        shown = [name for name in _SHOWN if self.runs[name].notna().any()]
        return with_intervals(self.runs[shown], {"N": short, "D": short, "C": power})

    def text(self) -> str:
        """The runs in words and numbers."""
        said = text_of(self.question, self.headline(), self.cautions(), self.details())
        return f"{said}\n\n{self.table().to_string(index=False)}"

    def details(self) -> list[str]:
        """All that a text has below headline and cautions, without the table of the runs."""
        return [part for part in self.sentences()[1:] if part]


@dataclass(frozen=True)
class TextTable:
    """A table within a text.

    Attributes
    ----------
    title : str
        The line before it.
    table : DataFrame
        Its cells as texts.
    note : str
        The line after it.
    """

    title: str
    table: pd.DataFrame
    note: str = ""

    def __str__(self) -> str:
        rows = self.table.to_string(index=False)
        return "\n".join(filter(None, [self.title, rows, self.note]))


def text_of(
    question: str, headline: str, cautions: Sequence[str], details: Sequence[str | TextTable]
) -> str:
    """An answer as a text: the question, the headline, what to be careful about, the rest.

    Its numbers are written as in the headline, see `in_powers`.
    """
    warned = "\n".join(f"! {caution}" for caution in cautions)
    parts = [question, headline, warned, *map(str, details)]
    return in_powers("\n\n".join(part for part in parts if part))


def _left_out(count: int, which: str = "") -> str:
    runs = " ".join(filter(None, ["1 run" if count == 1 else f"{count} runs", which]))
    return f"{runs} {'is' if count == 1 else 'are'} left out"


def _far_in_words(names: Sequence[str]) -> str:
    """Which fitted runs lie far from the law, the first few by their names."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    lie = "1 of them lies" if len(names) == 1 else f"{len(names)} of them lie"
    return f" {lie} far from the law: {', '.join(names[:_NAMED])}{more}."


def _design_in_words(fitted: pd.DataFrame) -> str:
    """How many runs, and at how many compute budgets, or sizes and token budgets, if few."""
    sizes, lengths = fitted["N"].nunique(), fitted["D"].nunique()
    budgets = 1 + int((np.diff(np.sort(np.log(fitted["C"]))) > _SAME_BUDGET).sum())
    if min(sizes, lengths, budgets) > len(fitted) / 2:  # scattered: no design to name
        return f"{len(fitted)} runs"
    if 1 < budgets < min(sizes, lengths):
        return f"{len(fitted)} runs at {budgets} compute budgets"
    return f"{len(fitted)} runs of {sizes} sizes and {lengths} token budgets"
