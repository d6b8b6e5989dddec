"""The source of the runs to which laws are fitted: a study, or a file made elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.forecasts import track
from scalinglab.analysis.judgement import study_multiverse
from scalinglab.analysis.tables.fitted import fitted_runs
from scalinglab.analysis.tables.settings import with_settings
from scalinglab.analysis.tables.study_runs import require
from scalinglab.options import OutputsOptions, option
from scalinglab.run_options import CountOptions, ReadOptions, loss_column
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.flops import DEFAULT_CONVENTION
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.fitting.result import Result
    from scalinglab.scaling.records.plan_file import AnswerConfig

CURVE_LAW = "multi_power"  # of a file, whose curves are of one size


class Source(ABC):
    """Runs to which laws are fitted."""

    @abstractmethod
    def runs(
        self, options: CountOptions, law: str | None = None, x: str | None = None
    ) -> tuple[pd.DataFrame, str]:
        """The table to which a law is fitted, and the name of the law.

        Parameters
        ----------
        options : CountOptions
        law : str, optional
            Default: the source's own law.
        x : str, optional
            The column that a law in one variable reads.
        """

    @abstractmethod
    def sweep(self, options: CountOptions) -> pd.DataFrame:
        """Runs at several learning rates and batches; the batch in tokens."""

    @abstractmethod
    def of_all_roles(self, options: CountOptions) -> pd.DataFrame:
        """Runs that ended, with their ``role`` in a study; diverged runs have infinite loss."""

    @abstractmethod
    def counted(
        self, options: ReadOptions, law: str, n_columns: Sequence[str]
    ) -> Mapping[str, pd.DataFrame]:
        """The runs with N counted in several ways: count -> table."""

    @property
    @abstractmethod
    def law(self) -> str:
        """The default law."""

    @property
    @abstractmethod
    def curve_law(self) -> str:
        """The default law of curves."""

    @property
    @abstractmethod
    def budgets(self) -> list[float]:
        """The default budgets of an allocation, in FLOPs."""

    @property
    @abstractmethod
    def delta(self) -> float | str | None:
        """The default threshold of the fits' cost; see `analysis.fit`."""

    @abstractmethod
    def calibrated(self, result: Result) -> Result:
        """The fit with intervals of losses widened by the errors of earlier forecasts."""


@dataclass(frozen=True)
class FileSource(Source):
    """A file or a folder that another program wrote, read as by ``scaling import``."""

    path: str

    def runs(
        self, options: CountOptions, law: str | None = None, x: str | None = None
    ) -> tuple[pd.DataFrame, str]:
        """As `Source.runs`."""
        if options.n_count:
            raise ConfigError(
                "n_count says what N counts in a study; in a file columns.N=NAME does"
            )
        if options.flops:
            raise ConfigError("flops says what C counts in a study; in a file columns.C=NAME does")
        law = law or self.law
        return self._table(options, law, x), law

    def sweep(self, options: CountOptions) -> pd.DataFrame:
        """As `Source.sweep`."""
        return self.runs(options)[0]

    def of_all_roles(self, options: CountOptions) -> pd.DataFrame:
        """As `Source.of_all_roles`."""
        return self.runs(options)[0]

    def counted(
        self, options: ReadOptions, law: str, n_columns: Sequence[str]
    ) -> Mapping[str, pd.DataFrame]:
        """As `Source.counted`, by the named columns."""
        return study_multiverse.counted_points(self._table(options, law), n_columns)

    def _table(self, options: ReadOptions, law: str, x: str | None = None) -> pd.DataFrame:
        return analysis.read_table(self.path, law, columns=options.columns, unit=options.unit, x=x)

    @property
    def law(self) -> str:
        """As `Source.law`."""
        return LAW

    @property
    def curve_law(self) -> str:
        """As `Source.curve_law`."""
        return CURVE_LAW

    @property
    def budgets(self) -> list[float]:
        """Empty: a file has no question."""
        return []

    @property
    def delta(self) -> None:
        """None: the default of `analysis.fit`."""
        return None

    def calibrated(self, result: Result) -> Result:
        """The fit itself: forecasts from files are not tested."""
        return result


@dataclass(frozen=True)
class StudySource(Source):
    """The stored runs of a study, trained here or imported.

    Attributes
    ----------
    name : str
    outputs : Path
        Where everything is written.
    """

    name: str
    outputs: Path

    @property
    def answer(self) -> AnswerConfig:
        """The study's question to its runs, as it was planned or imported."""
        return analysis.study_plan(self.outputs, self.name).study.answer

    def runs(
        self, options: CountOptions, law: str | None = None, x: str | None = None
    ) -> tuple[pd.DataFrame, str]:
        """As `Source.runs`."""
        self._check_unit(options)
        table, law = fitted_runs(
            self.outputs,
            self.name,
            law,
            n_count=options.n_count,
            flops=options.flops or DEFAULT_CONVENTION,
        )
        if "run_id" not in table:  # curves
            return table, law
        return with_settings(self.outputs, table, options.columns.values()), law

    def sweep(self, options: CountOptions) -> pd.DataFrame:
        """As `Source.sweep`; records count a batch in sequences."""
        runs, _ = self.runs(options)
        runs = runs[runs["status"] == State.DONE]
        return runs.assign(batch=runs["batch"] * runs["context"])

    def of_all_roles(self, options: CountOptions) -> pd.DataFrame:
        """As `Source.of_all_roles`, by the columns that the runs recorded."""
        self._check_unit(options)
        for name, column in options.columns.items():
            raise ConfigError(
                f"columns.{name}={column} is for data=FILE with mixture=true: the runs of a study"
                " say their N, D, shares and losses themselves. n_count= chooses the count of N,"
                " targets=[...] the validation sets"
            )
        runs = analysis.load(
            self.outputs,
            study=self.name,
            n_count=options.n_count or "n_matmul",
            flops=options.flops or DEFAULT_CONVENTION,
        )
        require(runs, self.outputs, self.name)
        runs = runs[runs["status"] != State.STOPPED]
        return runs.assign(loss=runs["loss"].mask(runs["status"] == State.DIVERGED, float("inf")))

    def counted(
        self, options: ReadOptions, law: str, n_columns: Sequence[str]
    ) -> Mapping[str, pd.DataFrame]:
        """As `Source.counted`, by all counts of the records."""
        self._check_unit(options)
        if n_columns:
            raise ConfigError(
                "n_columns names columns of a file; a study is counted as n_block, n_matmul,"
                " n_total and n_active"
            )
        return study_multiverse.counted_runs(
            self.outputs, self.name, loss=loss_column(options.columns)
        )

    def _check_unit(self, options: ReadOptions) -> None:
        if options.unit:
            raise ConfigError(
                f"unit = {options.unit!r} is for data=FILE: the losses of a study are in nats per"
                " token"
            )

    @property
    def law(self) -> str:
        """As `Source.law`."""
        return self.answer.law

    @property
    def curve_law(self) -> str:
        """As `Source.curve_law`."""
        return self.answer.curve_law

    @property
    def budgets(self) -> list[float]:
        """As `Source.budgets`."""
        return self.answer.budgets

    @property
    def delta(self) -> float | str | None:
        """As `Source.delta`."""
        return self.answer.delta

    def calibrated(self, result: Result) -> Result:
        """As `Source.calibrated`, by the track record of the outputs folder."""
        return track.calibrated(result, self.outputs, self.name)


@dataclass(frozen=True, kw_only=True)
class StudyOptions(OutputsOptions):
    """Options of the verbs that read a study."""

    study: str = option("the study whose runs are read")

    @property
    def source(self) -> StudySource:
        """The study of that name."""
        return StudySource(self.study, self.outputs_path)


@dataclass(frozen=True, kw_only=True)
class SourceOptions(OutputsOptions):
    """Options of the verbs that read a study or a file."""

    study: str | None = option("the study whose runs are read", None)
    data: str | None = option(
        "instead of a study: a file or folder made elsewhere, read as by scaling import",
        None,
        meant_by=("file", "path", "csv"),
    )

    @property
    def source(self) -> Source:
        """The study or the file."""
        if (self.data is None) == (self.study is None):
            raise ConfigError("name what is fitted: either data=FILE or study=NAME")
        if self.study is not None:
            return StudySource(self.study, self.outputs_path)
        assert self.data is not None
        return FileSource(self.data)
