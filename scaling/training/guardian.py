"""Runs a program of somebody else so that it does not outlive the worker that wants it.

    python -I guardian.py <words of the command>

It needs the standard library alone, so that its environment can be the program's.
Standard input is a pipe whose other end the worker holds: when it closes, the worker is gone, and
the whole process group is killed. SIGTERM is for the program; the exit code is the program's, 128
and the signal's number where a signal ended it, as a shell has it.
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
    """Run the command to its end; the exit code."""
    # A handler, not SIG_IGN, which the program would inherit.
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
