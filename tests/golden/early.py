"""Folders that the first versions wrote: keys that joined later are absent, older kinds are there.

Each of ``early/`` holds the runs and the plan of one study, trained by the code of its time: the
first version that had a command line; one before the options of the model; one before checksums.
One run of each study was taken back to an interrupted attempt, one to a failed one. What says on
which machine they were made is taken out.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.golden import lab, product

EARLY = product.FOLDER / "early"
STUDIES = ("first", "second", "third")
FIRST_RUN = "ylqynmokcb"  # all three have trained it: its id has been the same since


def open_early(folder: Path) -> dict[str, Path]:
    """Copy the folders: study -> its outputs."""
    return {name: Path(shutil.copytree(EARLY / name, folder / name)) for name in STUDIES}


def readings(folder: Path) -> dict[str, Any]:
    """What the readers say of every study, and of why a run of it failed."""
    outputs = open_early(folder)
    return {
        name: lab.readings(place)[name]
        | {"why": product.why(place, name)}
        | {
            "runs described": {
                run: product.described(place, run)
                for run in sorted(path.name for path in (place / "runs").iterdir())
            }
        }
        for name, place in outputs.items()
    }
