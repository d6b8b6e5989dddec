"""A launcher in the background: it outlives the terminal that started it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.training.child import child_environment, python_command
from scalinglab.sweeps.store.launch_record import launched_by
from scalinglab.sweeps.store.stored_plan import study_folder

DETACH_SECONDS = 120.0  # wait at most so long for a launcher to start its workers or to die
DETACH_LINES = 15  # of the log, to show why a launcher died


@dataclass(frozen=True)
class Detached:
    """A launcher in the background.

    Attributes
    ----------
    pid : int
        Its process.
    log : Path
        Its output, appended to the output of earlier launchers.
    code : int or None
        Its exit code, if it ended within `DETACH_SECONDS`.
    tail : list of str
        The last lines of its output so far.
    """

    pid: int
    log: Path
    code: int | None
    tail: list[str]


def detach(arguments: list[str], outputs: Path, study: str) -> Detached:
    """Start a launcher in a process that outlives this one; returns once its workers have started.

    Parameters
    ----------
    arguments : list of str
        Arguments of ``scaling launch``, without ``launch.detach``.
    """
    log = study_folder(outputs, study) / "launcher.log"
    with log.open("ab") as file:
        start = file.tell()
        process = subprocess.Popen(
            python_command("scalinglab.cli", "launch", *arguments, "launch.detach=false"),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env=child_environment(),
        )
    deadline = time.monotonic() + DETACH_SECONDS
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if launched_by(outputs, study, process.pid):
                break
            time.sleep(0.1)
    except KeyboardInterrupt:  # before the launch has begun, Ctrl-C means no launch
        process.terminate()
        raise
    new_lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return Detached(process.pid, log, process.poll(), new_lines[-DETACH_LINES:])
