"""Time of `make study` from a fresh clone, twice.

    python benchmarks/first_study.py [repository]

Prints the seconds of set-up, of training (wall clock, and core-seconds in the engine's steps), of
the report and of a second `make study`, and the held-out error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(repository: str) -> None:
    """Clone, run, print."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", repository, str(clone)], check=True)
        setup, _ = timed(["make", "environment"], clone)
        study, first = timed(["make", "study"], clone)
        again, second = timed(["make", "study"], clone)
        print(f"set-up              {setup:7.1f} s")
        print(f"make study          {study:7.1f} s after set-up")
        print(f"  training          {core_seconds(clone):7.1f} core-seconds in steps")
        print(f"make study again    {again:7.1f} s, {trained(second)} runs trained")
        print("held out", *re.findall(r"predicted .*error.*", first), sep="\n  ")


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Seconds and output of a command."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, done.stdout


def trained(output: str) -> int:
    """Number of runs that a launch reported as finished."""
    return len(re.findall(r"^ *\d+/\d+ .* done$", output, re.MULTILINE))


def core_seconds(clone: Path) -> float:
    """Seconds that all finished runs spent in training steps, each on one core."""
    code = "from scalinglab import analysis; print(analysis.load('outputs')['seconds'].sum())"
    _, out = timed([".venv/bin/python", "-c", code], clone)
    return float(out)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent.parent))
