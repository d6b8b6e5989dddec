"""Probes of a study's checkpoints: asked for, carried out, and what they found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.options import SELECTION, option
from scalinglab.prepare import launch_config
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import ProbeFolder, results
from scalinglab.scaling.probes.probe import PROBES
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.printable import excerpt
from scalinglab.sweeps.launch.asking import ALL, END, CheckedAsk, ask
from scalinglab.sweeps.launch.launch import check_backend
from scalinglab.sweeps.launch.probes import launch_probes, unanswered
from scalinglab.sweeps.plan.places import check_places
from scalinglab.sweeps.store.asked import Ask, asks_folder, read_asks, store_ask, withdraw
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.verb import INTERRUPTED

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.terminal import Screen

_TELL_SECONDS = 2.0
_SHOWN = 10  # failures, by name
_COLUMNS = 8


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """What is asked of the checkpoints of a study."""

    probe: str | None = option(
        "the probe (scaling parts kind=probe lists them); without one, all that was asked of the"
        " study before is gone on with",
        None,
    )
    options: dict[str, Any] = option("the probe's own: options.store=text-ab12cd34", {})
    steps: list[Any] = option(
        "where: end, all (every step that has a checkpoint), or steps, as in [100,1000]", [END]
    )
    runs: str | None = option(f"which runs: {SELECTION}; by default all that are finished", None)
    withdraw: bool = option(
        "ask no longer what still lacks numbers: all of it, or of one probe, with options; what was"
        " found stays",
        False,
    )


@dataclass(frozen=True)
class Withdrawn:
    """Questions that are asked no longer."""

    study: str
    questions: list[str]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Their names."""
        return {"study": self.study, "withdrawn": self.questions}

    def show(self, screen: Screen) -> None:
        """A line a question."""
        for question in self.questions:
            screen.say(f"no longer asked: {question}")
        if not self.questions:
            screen.say(f"study {self.study!r}: no such question lacks numbers")


@dataclass(frozen=True)
class Probed:
    """What probes found of a study.

    Attributes
    ----------
    study : str
    frame : DataFrame
        One row a run and step: ``run_id, step`` and the numbers, by the names of their columns.
    left : mapping of str to str
        Run and probe -> why numbers lack; empty text where nobody has come to it.
    left_out : tuple of str
        Why runs were not read.
    interrupted, submitted : bool
        Whether the person stopped it; whether it was given to SLURM and nobody waited.
    """

    study: str
    frame: pd.DataFrame
    left: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    interrupted: bool = False
    submitted: bool = False

    @property
    def code(self) -> int:
        """0 if all that was asked for is there, or on its way."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.submitted else int(bool(self.left))

    def as_json(self) -> dict[str, Any]:
        """The numbers, and what lacks."""
        return {
            "study": self.study,
            "numbers": self.frame,
            "left": dict(self.left),
            "left_out": list(self.left_out),
            "interrupted": self.interrupted,
            "submitted": self.submitted,
        }

    def show(self, screen: Screen) -> None:
        """A row a run and step, and what lacks."""
        for line in self.left_out:
            screen.say(f"left out: {line}")
        for table, more in self._tables():
            screen.table(table.map(_shown))
            if more:
                screen.say(f"and {more} further columns: --json, and the study's tables, have them")
        for name, why in list(self.left.items())[:_SHOWN]:
            screen.say(f"{name}: {excerpt(why) or 'not yet'}")
        if len(self.left) > _SHOWN:
            screen.say(f"and {len(self.left) - _SHOWN} more")
        if self.left and not self.submitted:
            screen.say(f"scaling probe study={self.study} goes on with all that was asked for")

    def _tables(self) -> Iterator[tuple[pd.DataFrame, int]]:
        """The numbers of each probe by themselves, and how many columns are too many to be shown."""
        groups: dict[str, list[str]] = {}
        for column in self.frame.columns[2:]:
            groups.setdefault(".".join(column.split(".")[:2]), []).append(column)
        for named in groups.values():
            columns = sorted(
                named, key=lambda name: name.rpartition(".")[2].isdigit()
            )  # layers last
            rows = self.frame.dropna(subset=columns, how="all")
            if len(rows):
                yield rows[["run_id", "step", *columns[:_COLUMNS]]], max(0, len(columns) - _COLUMNS)


def probe(
    composed: Mapping[str, Any], study: str, outputs: Path, options: ProbeOptions, screen: Screen
) -> Probed:
    """Find the numbers that are asked for, and lack.

    Parameters
    ----------
    composed : mapping
        The configuration of the study: of it, how and where checkpoints are read.
    study, outputs
        Where the study lies.
    options : ProbeOptions
    screen : Screen
        Told how far it is.

    Raises
    ------
    ConfigError
        On any mistake, in one sentence; nothing was read or stored by then.
    """
    config = launch_config(composed)
    execution = from_dict(ExecutionConfig, composed["execution"], "execution")
    check_backend(config)
    if config.detach:
        raise ConfigError(
            "launch.detach = true: probes are not detached; launch=slurm launch.watch=false"
            " submits them and returns"
        )
    execution = replace(execution, processes=1, shard=False)
    check_places(config, execution)
    if options.probe is not None:
        if options.runs is None:  # says what there is instead of finished runs, and the way on
            # Here, because pandas takes a while to import.
            from scalinglab.analysis.tables.runs import load
            from scalinglab.analysis.tables.study_runs import require

            require(load(outputs, study=study), outputs, study)
        question = ask(
            outputs, study, options.probe, options.options, _steps(options), options.runs
        )
        store_ask(outputs, study, question.ask)
        asks = [question.ask]
    else:
        question, asks = CheckedAsk(Ask("", "", {}, {}), ()), _before(outputs, study, options)
    watch = _Watch(outputs, asks, screen)
    finished = launch_probes(outputs, study, asks, config, execution, watch.tick)
    watch.tick(at_once=True)
    left = {folder.run_id: _why(folder) for folder in unanswered(outputs, asks)}
    submitted = config.backend == "slurm" and not config.watch
    frame = numbers(outputs, asks)
    return Probed(study, frame, left, question.left_out, not finished, submitted)


def take_back(study: str, outputs: Path, options: ProbeOptions) -> Withdrawn:
    """Withdraw questions of a study.

    Raises
    ------
    ConfigError
        If there is no such study or probe, or steps or runs are named: a question goes as a whole.
    """
    read_plan(outputs, study)
    asked = {file.name.partition("-")[0] for file in asks_folder(outputs, study).glob("*.json")}
    if options.probe is not None and options.probe not in asked:
        PROBES.find(options.probe)
    whole = ProbeOptions(probe=options.probe, options=options.options, withdraw=True)
    if options != whole or (options.options and options.probe is None):
        raise ConfigError(
            "withdraw = true: a question goes as a whole; leave out steps and runs, and name probe"
            " and options"
        )
    return Withdrawn(study, withdraw(outputs, study, options.probe, options.options))


def _before(outputs: Path, study: str, options: ProbeOptions) -> list[Ask]:
    """The questions that were stored before."""
    if options != ProbeOptions():
        raise ConfigError("probe is not set; options, steps and runs are of one: probe=validation")
    asks = read_asks(outputs, study)
    if not asks:
        raise ConfigError(
            f"nothing was asked of the checkpoints of study {study!r} yet: probe=validation asks "
            "for their loss, scaling parts kind=probe lists the probes"
        )
    return asks


def _steps(options: ProbeOptions) -> str | list[int]:
    words = options.steps
    if words in ([END], [ALL]):
        return words[0]
    try:
        steps = [float(word) for word in words]
    except ValueError:
        steps = []
    if not steps or any(s < 0 or not s.is_integer() for s in steps):
        text = words[0] if len(words) == 1 else f"[{','.join(map(str, words))}]"
        raise ConfigError(f"steps = {text}: allowed are end, all and steps, as in [100,1000]")
    return [int(step) for step in steps]


def numbers(outputs: Path, asks: Sequence[Ask]) -> pd.DataFrame:
    """What was found of some questions: one row a run and step."""
    import pandas as pd

    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for question in asks:
        for folder in question.folders(outputs):
            steps = {ask.step for ask in folder.wanted}
            for result in results(folder.run):
                if result.key == question.folder_name and result.step in steps:
                    place = (folder.run.run_id, result.step)
                    rows.setdefault(place, {"run_id": place[0], "step": place[1]})
                    rows[place] |= {
                        name: math.nan if value is None else value
                        for name, value in result.known.items()
                    }
    frame = pd.DataFrame(list(rows.values()) or None, columns=None if rows else ["run_id", "step"])
    return frame.sort_values(["run_id", "step"], ignore_index=True)


def _why(folder: ProbeFolder) -> str:
    """Why something is not found, by the last attempt."""
    attempt = folder.latest_attempt()
    if attempt is None:
        return ""
    if attempt.end is None:
        return State.RUNNING if folder.is_alive(attempt) else "its process was killed"
    if not attempt.end.error:
        return str(attempt.end.reason)
    places = [line.strip() for line in attempt.end.traceback.splitlines() if " File " in line]
    return "; ".join([attempt.end.error, *places[-1:]])


def _shown(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.5g}"


class _Watch:
    """Tells how many numbers are there, while workers work."""

    def __init__(self, outputs: Path, asks: Sequence[Ask], screen: Screen) -> None:
        self._folders: list[ProbeFolder] = [f for a in asks for f in a.folders(outputs)]
        self._all = sum(len(f.wanted) for f in self._folders)
        self._screen, self._next, self._before = screen, 0.0, -1
        self._clock: Callable[[], float] = time.monotonic

    def tick(self, at_once: bool = False) -> None:
        """Say how far it is, if that has changed."""
        if not at_once and self._clock() < self._next:
            return
        self._next = self._clock() + _TELL_SECONDS
        read_count = self._all - sum(len(f.missing()) for f in self._folders)
        if read_count != self._before:
            self._before = read_count
            self._screen.say(f"{read_count} of {self._all} checkpoints are read")
