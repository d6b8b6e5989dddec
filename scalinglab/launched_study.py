"""A launched study: its state, its failures, its records.

Nothing here plans or fits, so that verbs such as ``status`` and ``logs`` start at once:
`scalinglab.study.Study`, which does all, takes twice as long to import.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.records.notes import Note, add_note, notes_of
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.sweeps.launch.remaining import given_up
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import StoredPlan, read_plan
from scalinglab.sweeps.watch.cancel import cancel_runs, cancel_study
from scalinglab.sweeps.watch.causes import causes
from scalinglab.sweeps.watch.collect import collect
from scalinglab.sweeps.watch.progress import Progress, progress
from scalinglab.terminal import Screen
from scalinglab.watch import watch_study

if TYPE_CHECKING:
    from scalinglab.scaling.engine.export.export import Exported


@dataclass(frozen=True)
class LaunchedStudy:
    """A study by its folder.

    Attributes
    ----------
    name : str
        The study's name, and that of its folder below ``outputs/studies``.
    outputs : Path
        The folder of all runs and studies.
    screen : Screen or None
        Where progress is shown; None is standard output.
    """

    name: str
    outputs: Path
    screen: Screen | None = field(default=None, kw_only=True)

    def status(self) -> pd.DataFrame:
        """One row a run, derived from the run folders; see ``scalinglab.sweeps.store.status``.

        Raises
        ------
        ConfigError
            If the study was never launched in these outputs.
        """
        return status(self.outputs, self.name)

    def progress(self, status: pd.DataFrame | None = None) -> Progress:
        """Progress of the study, from its status."""
        return progress(self.outputs, self.name, self.status() if status is None else status)

    def causes(self) -> pd.DataFrame:
        """Failures that still stand, one row for each cause, the most frequent first."""
        return causes(self.outputs, self.name)

    def given_up(self) -> dict[str, str]:
        """run_id -> why the latest launch does not retry the run."""
        return given_up(self.outputs, self.name)

    def watch(self) -> None:
        """Show what changes until every run has ended; the study may still be planned."""
        watch_study(self.screen or Screen(), self.outputs, self.name)

    def stored_plan(self) -> StoredPlan:
        """The plan of the latest launch."""
        return read_plan(self.outputs, self.name)

    def results(self) -> pd.DataFrame:
        """One row a finished run, diverged ones included, as in ``runs.parquet``.

        Raises
        ------
        ConfigError
            As `status`.
        """
        return pd.read_parquet(self.collect()[0])

    def curves(self) -> pd.DataFrame:
        """One row a step of each finished run, as in ``curves.parquet``.

        Raises
        ------
        ConfigError
            As `status`.
        """
        return pd.read_parquet(self.collect()[1])

    def collect(self) -> tuple[Path, Path]:
        """Write ``runs.parquet`` and ``curves.parquet``; only new records are read."""
        return collect(self.outputs, self.name)

    def export(
        self, to: str | Path, runs: str = "done", form: str = "auto", step: int | None = None
    ) -> list[Exported]:
        """Write checkpoints for other tools, a folder a run; see ``scaling export --help``.

        Parameters
        ----------
        to : path
            The folder in which each run gets a folder.
        runs : str
            A selection, as of ``scaling logs``.
        form : str
            The format: ``llama``, ``qwen3``, ``scaling_laboratory``, or ``auto``.
        step : int, optional
            The step of the checkpoints; default: the last.

        Raises
        ------
        ConfigError
            If no run is selected, a network does not fit the form, or a checkpoint is gone.
        """
        planned = self.stored_plan().runs
        if runs == State.DONE:  # without a finished run, its sentence says what to do
            # Imported here, because status and logs need no table.
            from scalinglab.analysis.tables.runs import load
            from scalinglab.analysis.tables.study_runs import require

            require(load(self.outputs, study=self.name), self.outputs, self.name)
        folders = [run.folder for run in select(planned, runs)]
        # Imported here, because torch and safetensors belong to extras.
        with needs_extra("exporting a checkpoint"):
            from scalinglab.scaling.engine.export.export import check_exports, export
        check_exports(folders, Path(to), form, step)
        return [export(folder, Path(to), form, step) for folder in folders]

    def notes(self, runs: str | None = None) -> dict[str, list[Note]]:
        """The notes of its runs, or of a selection, by run; see ``scaling note --help``."""
        return {folder.run_id: notes_of(folder) for folder in self._folders(runs)}

    def note(self, text: str, runs: str | None = None) -> dict[str, list[Note]]:
        """Keep a note with its runs, or with those of a selection, as ``scaling logs`` takes it."""
        return {folder.run_id: [add_note(folder, text)] for folder in self._folders(runs)}

    def _folders(self, runs: str | None) -> list[RunFolder]:
        planned = self.stored_plan().runs
        return [run.folder for run in (planned if runs is None else select(planned, runs))]

    def cancel(self, runs: str | None = None) -> list[str]:
        """Stop the study, or the runs of a selection; everything is saved first.

        Returns
        -------
        list of str
            A sentence about each launch or run that was stopped.
        """
        if runs is None:
            return cancel_study(self.outputs, self.name)
        return cancel_runs(self.outputs, self.name, runs)
