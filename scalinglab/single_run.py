"""One run without a study, trained in this process, with the same checks as a study's runs.

>>> from scalinglab import train_run                                              # doctest: +SKIP
>>> train_run("model.width=64", "schedule=cosine", "tokens=1e6")
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live

from scalinglab.bar import bar_lines
from scalinglab.prepare import compose_configuration, prepare_run
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.scaling.run.describe import describe, trainer_of
from scalinglab.scaling.text.duration import duration
from scalinglab.sweeps.launch.stop_flag import StopFlag
from scalinglab.terminal import Screen
from scalinglab.verb import INTERRUPTED

_LINE_SECONDS = 5.0  # between two lines of progress in a file
_BAR_SECONDS = 0.5  # between two redrawings of the bar on a terminal


@dataclass(frozen=True)
class TrainResult:
    """The end of the training of one run.

    Attributes
    ----------
    folder : RunFolder
        Where everything of the run lies.
    outcome : Outcome
        DONE with a record, also if the run diverged; LOST to another process; or another reason.
    record : Record or None
        The record of the run; None unless it is done.
    """

    folder: RunFolder
    outcome: Outcome
    record: Record | None = None

    @property
    def code(self) -> int:
        """0 if the run has a record."""
        if self.outcome == Outcome.INTERRUPTED:
            return INTERRUPTED
        return int(self.record is None)

    def as_json(self) -> dict[str, Any]:
        """The record, or why there is none."""
        return {
            "run_id": self.folder.run_id,
            "folder": self.folder.path,
            "outcome": self.outcome,
            "record": None if self.record is None else self.record.plain,
            "error": None if self.code in (0, INTERRUPTED) else self._failure(),
        }

    def show(self, screen: Screen) -> None:
        """The final losses, or why there are none."""
        if self.outcome == Outcome.INTERRUPTED:
            screen.say("interrupted; the run is saved, run the same command to go on")
        elif self.record is None:
            screen.say(self._failure())
        elif self.record.status == State.DIVERGED:
            screen.say(f"diverged after {self.record.steps:,} steps: recorded as a result")
        else:
            final = self.record.final
            screen.say(
                f"validation loss {final.validation_loss:.4f} nats/token, "
                f"{final.validation_bpb:.4f} bits/byte; record in {self.folder.path}"
            )

    def _failure(self) -> str:
        attempt = self.folder.latest_attempt()
        assert attempt is not None
        if self.outcome == Outcome.LOST:
            return f"process {attempt.owner.pid} on {attempt.owner.host} is training it"
        end = attempt.end
        return str(self.outcome) if end is None else f"{end.reason}: {end.error}\n{end.traceback}"


def train_run(
    *overrides: str,
    outputs: str | Path | None = None,
    config: str | Path | None = None,
    screen: Screen | None = None,
) -> TrainResult:
    """Train one run in this process; a finished run is not retrained.

    Parameters
    ----------
    overrides : str
        Hydra's overrides: ``model.width=64``.
    outputs : path, optional
        The folder of all runs; default: ``outputs`` of the overrides.
    config : path, optional
        A folder with groups of one's own.
    screen : Screen, optional
        Where progress is shown; default: standard output.

    Raises
    ------
    ConfigError
        On any mistake; nothing has been trained by then.
    """
    composed = _compose(overrides, outputs, config)
    plan, planned = prepare_run(composed)
    run, screen = planned.run, screen or Screen()
    folder = plan.run_folder(planned)
    folder.describe(describe(run, planned.store))
    screen.say(
        f"run {run.run_id}: N {run.counts['n_matmul']:,} (n_matmul), D {run.tokens:,}, "
        f"C {run.C:.2e}, peak LR {run.lr:.4g}, {run.steps:,} steps"
    )
    is_done = folder.done() is not None
    outcome = Outcome.DONE if is_done else train_in_process(screen, folder, plan.execution)
    return TrainResult(folder, outcome, folder.record() if outcome == Outcome.DONE else None)


def _compose(
    overrides: Sequence[str], outputs: str | Path | None, config: str | Path | None
) -> dict[str, Any]:
    composed = compose_configuration(
        overrides,
        None if outputs is None else Path(outputs).absolute(),
        None if config is None else Path(config),
    )
    if composed.get("study"):
        raise ConfigError("scaling train trains one run; a study is trained by scaling launch")
    return composed


def train_in_process(screen: Screen, folder: RunFolder, execution: ExecutionConfig) -> Outcome:
    """Claim a run and train it; returns how the training ended."""
    claim = Claim.acquire(folder, execution.lease_seconds)
    if claim is None:
        return Outcome.LOST
    stop = StopFlag()
    stop.install()
    try:
        # Imported here: the run names its trainer, and most trainers load torch.
        module, _, name = trainer_of(folder.spec(), execution).partition(":")
        train = getattr(importlib.import_module(module), name)
        with _RunProgress(screen, claim) as progress:

            def should_stop() -> bool:
                progress.tick()
                return stop()

            return train([claim], {}, execution, should_stop)
    finally:
        stop.uninstall()


class _RunProgress:
    """Shows how far a run is: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, screen: Screen, claim: Claim) -> None:
        self._screen, self._claim = screen, claim
        self._live = Live(console=screen.console, auto_refresh=False, transient=True)
        self._last = time.monotonic()
        self._first: tuple[int, float] | None = None  # the first step seen, and when

    def __enter__(self) -> _RunProgress:
        if self._screen.is_live:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def tick(self) -> None:
        """Show the progress, if some time has passed."""
        now = time.monotonic()
        if now - self._last < (_BAR_SECONDS if self._screen.is_live else _LINE_SECONDS):
            return
        self._last = now
        progress = self._claim.folder.progress(self._claim.number)
        if progress.step is None or progress.steps is None:
            return
        if self._first is None:
            self._first = progress.step, now
        parts = [f"step {progress.step:,}/{progress.steps:,}"]
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.4f}")
        if progress.tokens_per_second is not None:
            parts.append(f"{progress.tokens_per_second:,.0f} tok/s")
        if progress.step > self._first[0]:
            pace = (now - self._first[1]) / (progress.step - self._first[0])
            parts.append(f"{duration(pace * (progress.steps - progress.step))} left")
        if not self._screen.is_live:
            self._screen.say("  ".join(parts))
            return
        width = self._screen.width
        self._screen.console.width = int(width)  # it may have changed
        lines = bar_lines(progress.step / progress.steps, "  ".join(parts), width)
        self._live.update(Group(*lines), refresh=True)
