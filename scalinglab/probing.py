"""Probes of a study's checkpoints: questions are stored, carried out, and may be withdrawn."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.options import SELECTION, option
from scalinglab.prepare import launch_config
from scalinglab.probe_results import Probed, Withdrawn
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import ProbeFolder, results
from scalinglab.scaling.probes.probe import PROBES
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.state import State
from scalinglab.sweeps.launch.ask_probe import ALL, END, CheckedQuestion, ask_probe
from scalinglab.sweeps.launch.launch import check_backend
from scalinglab.sweeps.launch.probes import launch_probes, unanswered
from scalinglab.sweeps.plan.places import check_places
from scalinglab.sweeps.store.probe_questions import (
    ProbeQuestion,
    questions_folder,
    read_questions,
    store_question,
    withdraw,
)
from scalinglab.sweeps.store.stored_plan import read_plan

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.terminal import Screen

_LINE_SECONDS = 2.0  # between two lines of progress


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """A question to the checkpoints of a study."""

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


def probe(
    composed: Mapping[str, Any], study: str, outputs: Path, options: ProbeOptions, screen: Screen
) -> Probed:
    """Measure all numbers of a question, or of all stored questions, that are missing.

    Parameters
    ----------
    composed : mapping
        The configuration of the study, for its sections ``launch`` and ``execution``.
    study : str
    outputs : Path
    options : ProbeOptions
    screen : Screen
        Shows the progress.

    Raises
    ------
    ConfigError
        On any mistake, in one sentence; nothing has been measured or stored by then.
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
    left_out: tuple[str, ...] = ()
    if options.probe is None:
        questions = _stored_questions(outputs, study, options)
    else:
        here = config.backend != "slurm"
        checked = _new_question(outputs, study, options.probe, options, here)
        store_question(outputs, study, checked.question)
        questions, left_out = [checked.question], checked.left_out
    progress = _ProbeProgress(outputs, questions, screen)
    finished = launch_probes(outputs, study, questions, config, execution, progress.tick)
    progress.tick(at_once=True)
    left = {folder.run_id: _reason(folder) for folder in unanswered(outputs, questions)}
    submitted = config.backend == "slurm" and not config.watch
    frame = numbers(outputs, questions)
    return Probed(study, frame, left, left_out, not finished, submitted)


def withdraw_questions(study: str, outputs: Path, options: ProbeOptions) -> Withdrawn:
    """Withdraw questions of a study.

    Raises
    ------
    ConfigError
        If there is no such study or probe, or steps or runs are named: only whole questions can be
        withdrawn.
    """
    read_plan(outputs, study)
    asked = {
        file.name.partition("-")[0] for file in questions_folder(outputs, study).glob("*.json")
    }
    if options.probe is not None and options.probe not in asked:
        PROBES.find(options.probe)
    whole = ProbeOptions(probe=options.probe, options=options.options, withdraw=True)
    if options != whole or (options.options and options.probe is None):
        raise ConfigError(
            "withdraw = true: a question goes as a whole; leave out steps and runs, and name probe"
            " and options"
        )
    return Withdrawn(study, withdraw(outputs, study, options.probe, options.options))


def _new_question(
    outputs: Path, study: str, probe_name: str, options: ProbeOptions, here: bool
) -> CheckedQuestion:
    if options.runs is None:  # without finished runs, its sentence says what to do
        # Imported here, because pandas takes a while.
        from scalinglab.analysis.tables.runs import load
        from scalinglab.analysis.tables.study_runs import require

        require(load(outputs, study=study), outputs, study)
    return ask_probe(
        outputs, study, probe_name, options.options, _steps(options), options.runs, here
    )


def _stored_questions(outputs: Path, study: str, options: ProbeOptions) -> list[ProbeQuestion]:
    """The questions that earlier calls stored."""
    if options != ProbeOptions():
        raise ConfigError("probe is not set; options, steps and runs are of one: probe=validation")
    questions = read_questions(outputs, study)
    if not questions:
        raise ConfigError(
            f"nothing was asked of the checkpoints of study {study!r} yet: probe=validation asks "
            "for their loss, scaling parts kind=probe lists the probes"
        )
    return questions


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


def numbers(outputs: Path, questions: Sequence[ProbeQuestion]) -> pd.DataFrame:
    """The stored numbers of some questions: one row a run and step."""
    # Imported here, because pandas takes a while.
    import pandas as pd

    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for question in questions:
        for folder in question.folders(outputs):
            steps = {result.step for result in folder.requested}
            for result in results(folder.run):
                if result.key == question.folder_name and result.step in steps:
                    key = (folder.run.run_id, result.step)
                    row = rows.setdefault(key, {"run_id": key[0], "step": key[1]})
                    for name, number in result.table_columns.items():
                        row[name] = math.nan if number is None else number
    frame = pd.DataFrame(list(rows.values()) or None, columns=None if rows else ["run_id", "step"])
    return frame.sort_values(["run_id", "step"], ignore_index=True)


def _reason(folder: ProbeFolder) -> str:
    """Why numbers of a run are missing, by the last attempt."""
    attempt = folder.latest_attempt()
    if attempt is None:
        return ""
    if attempt.end is None:
        return State.RUNNING if folder.is_alive(attempt) else "its process was killed"
    if not attempt.end.error:
        return str(attempt.end.reason)
    places = [line.strip() for line in attempt.end.traceback.splitlines() if " File " in line]
    return "; ".join([attempt.end.error, *places[-1:]])


class _ProbeProgress:
    """Shows how many checkpoints are read while workers work."""

    def __init__(self, outputs: Path, questions: Sequence[ProbeQuestion], screen: Screen) -> None:
        self._folders: list[ProbeFolder] = [f for q in questions for f in q.folders(outputs)]
        self._total = sum(len(f.requested) for f in self._folders)
        self._screen = screen
        self._next = 0.0  # when it looks again, by time.monotonic
        self._last_count = -1

    def tick(self, *, at_once: bool = False) -> None:
        """Show the count, if it has changed."""
        if not at_once and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_SECONDS
        read_count = self._total - sum(len(f.missing()) for f in self._folders)
        if read_count != self._last_count:
            self._last_count = read_count
            self._screen.say(f"{read_count} of {self._total} checkpoints are read")
