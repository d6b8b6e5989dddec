"""Runs another program so that it does not outlive its worker.

    python -I guardian.py <words of the command>

It imports the standard library only, so that it can have the program's environment.
Standard input is a pipe from the worker: when it closes, the worker is gone, and the whole process
group is killed. SIGTERM is passed to the program. The exit code is the program's, or 128 plus the
number of the signal that ended it, as in a shell.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

POLL_SECONDS = 0.1
NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    """Run the command to its end; returns the exit code."""
    # A handler, because the program would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        program = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"cannot start {arguments[0]!r}: {error.strerror}", file=sys.stderr)
        return NOT_FOUND
    while program.poll() is None:
        if select.select([sys.stdin], [], [], POLL_SECONDS)[0]:  # nothing is ever written to it
            os.killpg(0, signal.SIGKILL)
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
