"""The questions as methods, for notebooks: keywords are the options of the command line.

``study.fit(law="power", resamples=200)`` is ``scaling fit study=NAME law=power resamples=200``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.progress import steps
from scalinglab.answer_bar import with_bar
from scalinglab.answers.allocate import Allocated, AllocateOptions, allocate
from scalinglab.answers.compare import (
    Compared,
    CompareOptions,
    compare_file,
    compare_studies,
    compare_study,
)
from scalinglab.answers.compare_laws import ComparedLaws, CompareLawsOptions, compare_laws
from scalinglab.answers.fit import OneFitOptions, fit
from scalinglab.answers.forecast import (
    ForecastOptions,
    Forecasts,
    TrackOptions,
    TrackRecord,
    forecast,
    take_up,
    track,
)
from scalinglab.answers.judge import (
    Judged,
    JudgeOptions,
    judge_file,
    judge_studies,
    judge_study,
)
from scalinglab.answers.keywords import keywords, read_keywords
from scalinglab.answers.multiverse import MultiverseOptions, multiverse
from scalinglab.answers.next import ChosenRuns, NextOptions, next_of_file, next_runs
from scalinglab.answers.report import AnswerOptions, answer, write_page
from scalinglab.answers.schedule import ChosenSchedule, ScheduleOptions, schedule
from scalinglab.answers.tasks import TaskForecasts, TaskOptions, forecast_tasks
from scalinglab.answers.tune import CriticalBatch, Recommended, TuneOptions, tune
from scalinglab.source import FileSource, Source, StudySource

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.mixture_choice import MixtureChoice
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.multiverse import Multiverse
    from scalinglab.analysis.reporting.answer import Answer
    from scalinglab.analysis.reporting.reported_runs import RunsWithoutLaw
    from scalinglab.analysis.reporting.verdict import Verdict


class SourceAnswers(ABC):
    """The questions to the runs of a study or of a file."""

    @property
    @abstractmethod
    def source(self) -> Source:
        """The study or the file."""

    @keywords(OneFitOptions)
    @with_bar
    def fit(self, options: OneFitOptions) -> Result:
        """Fit a law to the runs.

        Returns
        -------
        Result
            The parameters with their intervals; it predicts, reports and saves itself.
        """
        return fit(self.source, options)

    @keywords(CompareLawsOptions)
    @with_bar
    def compare_laws(self, options: CompareLawsOptions) -> ComparedLaws:
        """Compare laws by their predictions of held-out runs."""
        return compare_laws(self.source, options)

    @keywords(AllocateOptions)
    @with_bar
    def allocate(self, options: AllocateOptions) -> Allocated:
        """Fit a law and split budgets between model size and tokens."""
        return allocate(self.source, options)

    @keywords(MultiverseOptions)
    @with_bar
    def multiverse(self, options: MultiverseOptions) -> Multiverse:
        """How an answer varies with each analysis choice."""
        return multiverse(self.source, options)

    @keywords(TuneOptions)
    @with_bar
    def tune(self, options: TuneOptions) -> Recommended | CriticalBatch | MixtureChoice:
        """Recommend a learning rate and a batch, or shares of pools, for planned runs."""
        return tune(self.source, options)

    @keywords(ScheduleOptions)
    @with_bar
    def schedule(self, options: ScheduleOptions) -> ChosenSchedule:
        """Choose the learning-rate schedule of least predicted loss."""
        return schedule(self.source, options)

    @keywords(TaskOptions)
    @with_bar
    def forecast_tasks(self, asked: TaskOptions) -> TaskForecasts:
        """Accuracies of planned models on tasks: ``scaling forecast tasks=[...]``."""
        return forecast_tasks(self.source, asked)


class StudyAnswers(SourceAnswers):
    """The questions to a study that was trained here or imported."""

    name: str
    outputs: Path
    file: str

    @property
    def source(self) -> StudySource:
        """The stored runs of the study."""
        return StudySource(self.name, self.outputs)

    @abstractmethod
    def compose(self, *overrides: str) -> dict[str, Any]:
        """The configuration of the study."""

    @keywords(AnswerOptions)
    @with_bar
    def answer(self, options: AnswerOptions) -> Answer | RunsWithoutLaw | Verdict:
        """Answer the question of the study, by the kind of answer that it asks for.

        Where the finished runs do not determine the law, the answer is a `RunsWithoutLaw`.
        """
        return answer(self.source, options)

    @with_bar
    def report(self, to: str | Path | None = None, **asked: Any) -> Path:
        """Answer the question of the study and write the page.

        Parameters
        ----------
        to : path, optional
            The page; default: report.html in the folder of the study.
        **asked
            As of `answer`.

        Returns
        -------
        Path
            Where the page is.
        """
        with steps(2) as begin:
            begin("")  # its own parts are named
            found = self.answer(**asked)
            begin("page and figures")
            return write_page(found, to)

    @keywords(CompareOptions)
    @with_bar
    def compare(self, options: CompareOptions) -> Compared:
        """Compare two recipes of the study, told apart by the setting `arm`."""
        return compare_study(self.outputs, self.name, options)

    def compare_with(self, other: str, **asked: Any) -> Compared:
        """Compare this study, A, with another one in the same outputs, B.

        Parameters
        ----------
        other : str
            Its name.
        **asked
            As of `compare`, but for `arm`.
        """
        options = read_keywords(CompareOptions, asked)
        return compare_studies(self.outputs, [self.name, other], options)

    @keywords(JudgeOptions)
    @with_bar
    def judge(self, options: JudgeOptions) -> Judged:
        """Does a recipe of the study still help at a target; recipes are values of `arm`."""
        return judge_study(self.outputs, self.name, options)

    def judge_with(self, other: str, **asked: Any) -> Judged:
        """Judge another study in the same outputs against this one, the baseline.

        Parameters
        ----------
        other : str
            The candidate's name.
        **asked
            As of `judge`, but for `arm`.
        """
        options = read_keywords(JudgeOptions, asked)
        return judge_studies(self.outputs, [self.name, other], options)

    @keywords(ForecastOptions)
    @with_bar
    def forecast(self, options: ForecastOptions) -> Forecasts:
        """Forecast the final losses of the runs that have not ended."""
        return forecast(self.source, options)

    def take_up(self, runs: str = "stopped") -> list[str]:
        """Allow runs that ``forecast(stop=True)`` stopped to be trained again; returns their ids.

        Parameters
        ----------
        runs : str
            A selection, as of ``scaling logs``.
        """
        return take_up(self.source, runs)

    @keywords(TrackOptions)
    def track(self, options: TrackOptions) -> TrackRecord:
        """Compare the kept forecasts of the study with what was measured."""
        return track(self.outputs, self.name, options)

    @keywords(NextOptions)
    @with_bar
    def next(self, options: NextOptions) -> ChosenRuns:
        """Suggest the most informative next runs for a target, per hour."""
        return next_runs(self.source, self.file, self.compose, options)


class FileAnswers(SourceAnswers):
    """The questions to a file that another program wrote."""

    path: str

    @property
    def source(self) -> FileSource:
        """The file."""
        return FileSource(self.path)

    @keywords(CompareOptions)
    @with_bar
    def compare(self, options: CompareOptions) -> Compared:
        """Compare two recipes, told apart by the column `arm`."""
        return compare_file(self.path, options)

    @keywords(JudgeOptions)
    @with_bar
    def judge(self, options: JudgeOptions) -> Judged:
        """Does a recipe still help at a target; recipes are values of the column `arm`."""
        return judge_file(self.path, options)

    @keywords(NextOptions)
    @with_bar
    def next(self, options: NextOptions) -> ChosenRuns:
        """Suggest the N and D of the most informative next runs for a target, per cost."""
        return next_of_file(self.source, options)
