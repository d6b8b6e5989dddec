"""All checks and measurements that need a GPU, in one script that fits into minutes.

    python benchmarks/device.py --minutes 9 --to report            # on the first CUDA device
    python benchmarks/device.py --device cpu --quick               # a rehearsal, some minutes
    python benchmarks/device.py --only capture speed               # some sections

Each section (``device_sections.py``) runs in a separate process and prints each finding at once. A
section that fails, hangs or runs out of time loses only its further findings; its unused time goes
to the others. The results are ``device.json`` and ``device.md``, a table for benchmarks/README.md;
both are also printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Shares of the time; the most informative sections first, for when time is short.
SECTIONS = {
    "capture": 10,
    "speed": 34,
    "large": 16,
    "parts": 8,
    "determinism": 6,
    "memory": 8,
    "apart": 8,
    "checkpoints": 4,
    "launched": 8,
    "tests": 14,
}
AT_THE_END = 5.0  # seconds kept for writing the files
LINES = 12  # last lines of a failed section's output


@dataclass
class Section:
    """The result of a section."""

    name: str
    ended: str = "not begun"
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)


def main(words: list[str] | None = None) -> int:
    """Run the sections and write their findings."""
    given = arguments(words)
    end = time.monotonic() + 60 * given.minutes - AT_THE_END
    given.to.mkdir(parents=True, exist_ok=True)
    found: list[Section] = []
    try:
        for i, name in enumerate(given.only):
            share = SECTIONS[name] / sum(SECTIONS[later] for later in given.only[i:])
            section = Section(name)
            found.append(section)
            run(section, (end - time.monotonic()) * share, given)
            write_down(found, given)
    finally:
        write_down(found, given)
        print((given.to / "device.json").read_text())
        print((given.to / "device.md").read_text(), flush=True)
    return int(any(s.ended.startswith("failed") for s in found))


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="the whole script ends within this time"
    )
    parser.add_argument("--quick", action="store_true", help="toy sizes")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--to", type=Path, default=Path(), help="folder of the two files")
    return parser.parse_args(words)


def run(section: Section, seconds: float, given: argparse.Namespace) -> None:
    """Run a section for at most this many seconds and collect its findings."""
    print(f"{section.name}: {seconds:.0f} s at most", file=sys.stderr, flush=True)
    start = time.monotonic()
    with process_of(section.name, seconds, given) as (lines, process):
        while True:
            try:
                line = lines.get(timeout=max(0.0, start + seconds - time.monotonic()))
            except queue.Empty:
                section.ended = f"stopped after {seconds:.0f} s"
                break
            if not line:
                code = process.wait()
                section.ended = "done" if code == 0 else f"failed with exit code {code}"
                break
            take_in(section, line)
    section.seconds = round(time.monotonic() - start, 1)


def take_in(section: Section, line: str) -> None:
    """A finding, or another line, which may say why there are no more."""
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if isinstance(row, dict) and "what" in row:
        section.rows.append(row)
        print(f"  {row['what']}: {row['figure']}", file=sys.stderr, flush=True)
    else:
        section.last_words = [*section.last_words, line.rstrip()][-LINES:]


@contextlib.contextmanager
def process_of(
    name: str, seconds: float, given: argparse.Namespace
) -> Iterator[tuple[queue.SimpleQueue[str], subprocess.Popen[str]]]:
    """The process of a section and its output, line by line; it is ended with all its children."""
    root = str(HERE.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }
    command = [
        sys.executable,
        str(HERE / "device_sections.py"),
        name,
        given.device,
        str(int(given.quick)),
        f"{seconds:.1f}",
    ]
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        text=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def pass_on() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=pass_on, daemon=True)
    reader.start()
    try:
        yield lines, process
    finally:
        with contextlib.suppress(ProcessLookupError):  # its children too
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()


def write_down(found: list[Section], given: argparse.Namespace) -> None:
    """Write both files with the findings so far."""
    whole = {
        "device": given.device,
        "quick": given.quick,
        "sections": {section.name: asdict(section) for section in found},
    }
    (given.to / "device.json").write_text(json.dumps(whole, indent=1) + "\n")
    (given.to / "device.md").write_text(table(found))


def table(found: list[Section]) -> str:
    """Findings and aims in Markdown, and the end of each section."""
    lines = ["| section | what | seen | aim |", "|---|---|---|---|"]
    for section in found:
        for row in section.rows:
            aim, value = row.get("aim"), row.get("value")
            goal = "" if aim is None else f"{aim:g} {'met' if value >= aim else 'missed'}"
            said = row["figure"].replace("|", "/")
            lines.append(f"| {section.name} | {row['what']} | {said} | {goal} |")
        if section.ended != "done":
            words = section.last_words[-1].replace("|", "/") if section.last_words else ""
            lines.append(f"| {section.name} | | {section.ended}: {words} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
