"""Results of probes beside the run that they read: requests, claims and numbers.

<outputs>/runs/<run_id>/probes/<probe>-<key>/
    attempts/           claims, as of a run (``scalinglab.scaling.records.claim``)
    00000040.json       the numbers at step 40; created once
    00000040-1f3a.json  the same of a probe that reads other checkpoints too: which, as a hash
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalinglab.scaling.records.atomic import create_exclusive, folders_in, read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, reading, sealed, tell
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.run_end import Done
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State

FOLDER = "probes"
_RESULT: Shape = {"probe": str, "step": int, "columns": dict, "reads": list}
Place = tuple[str, int]  # a checkpoint: run_id, step


@dataclass(frozen=True)
class RequestedResult:
    """Numbers of a run at a step, as a study asks for them.

    Attributes
    ----------
    step : int
        Where the numbers belong.
    reads : tuple of (str, int)
        The checkpoints that the probe reads: run and step.
    twins : tuple of str
        Runs that share these checkpoints: their numbers are the same.
    """

    step: int
    reads: tuple[Place, ...]
    twins: tuple[str, ...] = field(default=(), compare=False)

    def file(self, run_id: str) -> str:
        """Name of the file of the numbers, in the folder of the probe beside a run."""
        if self.reads == ((run_id, self.step),):
            return f"{self.step:08d}.json"
        return f"{self.step:08d}-{digest([list(place) for place in self.reads], 6)}.json"


@dataclass(frozen=True)
class ProbeResult:
    """Numbers that a probe measured on a run at a step.

    Attributes
    ----------
    probe : str
    step : int
    columns : mapping of str to float or None
        By the name of their column; None: not finite.
    reads : sequence of (str, int)
        The checkpoints: run and step.
    key : str
        Name of the folder: the probe with its options.
    of_start : bool
        Whether they are of the initial weights, whatever the step.
    censored : mapping of str to str
        Columns whose value is a bound, and which: ``at_most``, ``at_least``.
    """

    probe: str
    step: int
    columns: Mapping[str, float | None]
    reads: Sequence[Sequence[Any]]
    key: str = ""
    of_start: bool = False
    censored: Mapping[str, str] = field(default_factory=dict)

    @property
    def table_columns(self) -> dict[str, float | None]:
        """Columns for tables, in which a bound has a column of its own: ``NAME_at_most``."""
        bounds = {f"{n}_{which}": self.columns.get(n) for n, which in self.censored.items()}
        return {**self.columns, **dict.fromkeys(self.censored), **bounds}


class ProbeFolder(RunFolder):
    """The folder of one probe, with its options, of one run; it is claimed as a run is.

    Parameters
    ----------
    path : Path
        ``<outputs>/runs/<run_id>/probes/<probe>-<key>``.
    probe : str
        Name of the probe.
    options : mapping
        As plain values.
    requested : sequence of RequestedResult
        The requested results, by step.
    """

    def __init__(
        self,
        path: Path,
        probe: str,
        options: Mapping[str, Any],
        requested: Sequence[RequestedResult],
    ) -> None:
        self.path, self.attempts = path, path / "attempts"
        self.run = RunFolder(path.parent.parent)
        self.run_id = f"{self.run.run_id}/{path.name}"
        self.probe, self.options = probe, options
        self.requested = sorted(requested, key=lambda result: result.step)

    @property
    def outputs(self) -> Path:
        """The folder that holds all runs, stores, checkpoints and studies."""
        return self.run.outputs

    @property
    def done_file(self) -> Path:
        """The file of the first missing result; of the last if none is missing."""
        files = [self.file(requested) for requested in self.requested]
        return next((file for file in files if not file.exists()), files[-1])

    def file(self, requested: RequestedResult) -> Path:
        """The file of a requested result."""
        return self.path / requested.file(self.run.run_id)

    def missing(self) -> list[RequestedResult]:
        """The requested results that are missing, by step."""
        return [requested for requested in self.requested if not self.file(requested).exists()]

    def shared(self, requested: RequestedResult) -> dict[str, Any] | None:
        """The result of a twin, as this run's; None if no twin has it yet."""
        for run_id in requested.twins:
            reads = [
                (run_id if read == self.run.run_id else read, step)
                for read, step in requested.reads
            ]
            of_twin = RequestedResult(requested.step, tuple(reads))
            folder = self.outputs / "runs" / run_id / FOLDER / self.path.name
            try:
                result: dict[str, Any] = read_json(folder / of_twin.file(run_id), _RESULT)
            except (FileNotFoundError, DamagedFile):
                continue
            return result | {"reads": [list(place) for place in requested.reads], "same_as": run_id}
        return None

    def store(self, requested: RequestedResult, result: Mapping[str, Any]) -> bool:
        """Write a result; False if another process was first."""
        return create_exclusive(self.file(requested), sealed(dict(result)))

    def exists(self) -> bool:
        """Whether the run is there: its folder may have been removed by hand."""
        return self.run.exists()

    def spec(self) -> RunSpec:
        """The run that is read."""
        return self.run.spec()

    def done(self) -> Done | None:
        """Not None once no requested result is missing."""
        return None if self.missing() else Done(0, State.DONE, len(self.requested), "", "", {})


def results(run: RunFolder) -> Iterator[ProbeResult]:
    """All results of probes of a run; damaged files are reported and left out.

    In the order of steps and times: if a probe was read again at a step, of another text or with
    other checkpoints, the later result counts.
    """
    files = [f for folder in folders_in(run.path / FOLDER) for f in folder.glob("[0-9]*.json")]
    for file in sorted(files, key=lambda file: (file.name[:8], _time(file))):
        try:
            stored = read_json(file, _RESULT)
            with reading(file, "it is no result of a probe"):
                yield known_fields(ProbeResult, {**stored, "key": file.parent.name})
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            tell(error, "its numbers are left out")


def columns_at(run: RunFolder, steps: int) -> dict[str, float | None]:
    """The columns of a run that ended after `steps` steps: results there, or at its start."""
    columns: dict[str, float | None] = {}
    for result in results(run):
        if result.of_start or result.step == steps:
            columns |= result.table_columns
    return columns


def columns_by_step(run: RunFolder) -> dict[int, dict[str, float | None]]:
    """Step -> the columns of the results there."""
    columns: dict[int, dict[str, float | None]] = {}
    for result in results(run):
        columns.setdefault(result.step, {}).update(result.table_columns)
    return dict(sorted(columns.items()))


def _time(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
