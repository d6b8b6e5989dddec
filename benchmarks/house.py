"""The house by its imports: files, rooms and arrows, and imports inside functions.

    python benchmarks/house.py

An import stands inside a function for one of three reasons, which the code says there: the library
takes long to import (scipy, matplotlib, pandas, torch), belongs to an extra of the installation
(``needs_extra``), or may be absent (``resource`` on Windows, ``bz2``). Also printed: the files that
an argument passes on its way from a verb to where it acts, and the time of ``scaling --help``.
``tests/test_architecture.py`` holds the rules, and reads the imports for this file.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
STARTS = 5
# What is followed: the verb, the file where it acts, and the names or types of parameters.
FOLLOWED = {
    "the law of a fit": ("scalinglab/verbs/fit.py", "analysis/fitting/best_fit.py", ("law", "Law")),
    "what a launch is asked for": (
        "scalinglab/verbs/launch.py",
        "sweeps/launch/worker.py",
        ("LaunchConfig", "Launch", "Prepared"),
    ),
}


def main() -> None:
    """Print a line a package, then the whole."""
    sys.path.insert(0, str(ROOT))
    house = importlib.import_module("tests.test_architecture")
    arrows = {file: house.arrows(file) for file in house.python_files()}
    rooms: dict[str, set[str]] = {}
    for file, used in arrows.items():
        rooms.setdefault(house.room(file), set()).update(map(house.room, used))
    for room, used in rooms.items():
        used.discard(room)
    for package in house.MAY_IMPORT:
        files = [file for file in arrows if file.startswith(f"{package}/")]
        lines = sum(len((ROOT / file).read_text().splitlines()) for file in files)
        late = [why for file in files for _, why in house.late_imports(file)]
        print(
            f"{package:<10} {len(files):4} files {lines:7,} lines; {len(late)} imports in functions,"
            f" {late.count(False)} of them without a reason"
        )
    between = sum(map(len, rooms.values()))
    print(
        f"{len(rooms)} rooms, {between} arrows between them; circles of files: "
        f"{len(house.circles(arrows))}, of rooms: {len(house.circles(rooms))}"
    )
    for what, (start, end, names) in FOLLOWED.items():
        files = passed(arrows, start, end, names)
        through = {house.room(file) for file in files}
        print(f"{what}: through {len(files)} files in {len(through)} rooms")
    print(f"scaling --help: {help_seconds():.2f} s of the processor (median of {STARTS})")


def passed(arrows: Mapping[str, set[str]], start: str, end: str, names: Sequence[str]) -> list[str]:
    """Files on a way of imports from one to another in which a function takes such a parameter."""
    users: dict[str, set[str]] = {}
    for file, used in arrows.items():
        for one in used:
            users.setdefault(one, set()).add(file)
    between = reached(start, arrows) & reached(end, users)
    return [f for f in sorted(between) if f in (start, end) or takes(ROOT / f, names)]


def reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """All to which arrows lead from one file."""
    files, left = {start}, [start]
    while left:
        new = arrows.get(left.pop(), set()) - files
        files |= new
        left += new
    return files


def takes(file: Path, names: Sequence[str]) -> bool:
    """Whether a function has a parameter of one of some names or types."""
    parameters = [
        node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.arg)
    ]
    return any(
        p.arg in names or (p.annotation is not None and ast.unparse(p.annotation) in names)
        for p in parameters
    )


def help_seconds() -> float:
    """Processor time of the general help, in a process of its own."""
    seconds = []
    for _ in range(STARTS):
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "scalinglab", "--help"], check=True, capture_output=True
        )
        after = os.times()
        children = before.children_user + before.children_system
        seconds.append(after.children_user + after.children_system - children)
    return sorted(seconds)[STARTS // 2]


if __name__ == "__main__":
    main()
