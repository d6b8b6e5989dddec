"""``scaling logs``: the attempts at some runs, and the logs of their workers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalinglab.launched_study import LaunchedStudy
from scalinglab.options import SELECTION, OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.state import State
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredRun
from scalinglab.sweeps.watch.causes import history, log_file
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class LogsOptions(OutputsOptions):
    """Options of ``scaling logs``."""

    study: str = option("the study whose runs are shown")
    runs: str = option(f"which runs: {SELECTION}", State.FAILED.value)
    follow: bool = option("go on showing the log of the first run", False)


@dataclass(frozen=True)
class Logs:
    """The chosen runs with the history of their attempts.

    Attributes
    ----------
    study : str
    runs : sequence of StoredRun
    follow : bool
        Whether the log of the first run is shown as long as it trains.
    """

    study: str
    runs: Sequence[StoredRun]
    follow: bool = False

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The history of each run, as text."""
        runs = [
            {
                "run_id": r.run_id,
                "log": log_file(r.folder),
                "history": history(r.folder).split("\n"),
            }
            for r in self.runs
        ]
        return {"study": self.study, "runs": runs}

    def show(self, screen: Screen) -> None:
        """The history of each run; then the log of the first, as it grows."""
        if not self.runs:
            screen.say(
                f"no run of {self.study} has failed; runs=SELECTION shows others, as runs=done"
            )
            return
        for run in self.runs:
            screen.say(history(run.folder))
        if self.follow:
            _follow(self.runs[0], screen)


def _follow(run: StoredRun, screen: Screen) -> None:
    path = log_file(run.folder)
    if path is None:
        return
    with path.open(errors="replace") as log:
        log.seek(0, 2)
        while run.folder.state() == State.RUNNING:
            screen.write(log.read())
            time.sleep(_POLL_SECONDS)


def run(options: LogsOptions, screen: Screen) -> Logs:
    """Show what attempts did and what their workers wrote: scaling logs study=NAME runs=k3v9.

    Without runs=... the runs that failed. --follow goes on showing the log of the first run.
    """
    if options.follow and options.json:
        raise ConfigError("follow=true shows a log while it grows; --json needs follow=false")
    runs = LaunchedStudy(options.study, options.outputs_path, screen=screen).stored_plan().runs
    if options.runs == State.FAILED and State.FAILED not in states(runs).values():
        return Logs(options.study, [])
    return Logs(options.study, select(runs, options.runs), options.follow)


VERB = Verb(
    "show what the attempts at some runs did and wrote",
    "scaling logs study=NAME [runs=SELECTION] [--follow]",
    run,
    LogsOptions,
)
