"""Write the golden records anew: ``python -m tests.golden.write [ids lab early curves fits schemas]``.

They protect what was written before: write them only where a contract is to change, or to add to
them, and read the difference line by line. A line that changes is a run that loses its id, a folder
that nobody can read any more, or a number that is another. ``new_curves`` adds the curves of new
options of the model to those that are there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.golden import cases, curves, early, fits, lab, product, schemas


def ids() -> dict[str, Any]:
    """Run id, family, steps and the prefix ids after a quarter, half and all of them."""
    return {
        "variants": variants(),
        "groups": groups(),
        "studies": {name: product.identities_of_study(name) for name in cases.STUDIES},
    }


def variants() -> dict[str, Any]:
    """Ids of every variant; one that is refused today has those of the run that it was."""
    ids = {name: product.identity(case) for name, case in cases.variants().items()}
    return ids | {name: ids[same] for name, (_, same) in cases.REFUSED_VARIANTS.items()}


def groups() -> dict[str, Any]:
    """Ids of what conf ships; a line that is refused today has those of its run."""
    ids = {
        " ".join(group).replace(str(product.FOLDER), "."): product.identity_of(group)
        for group in cases.GROUPS
    }
    return ids | {line: ids[same] for line, same in cases.REFUSED_GROUPS.items()}


def write_lab() -> dict[str, Any]:
    """Make ``lab/out`` anew, and what is read of it."""
    with tempfile.TemporaryDirectory() as folder:
        losses = lab.make_lab(Path(folder).resolve() / "person")
        outputs = lab.open_lab(Path(folder) / "copy")
        return {
            "losses": losses,
            "readings": lab.readings(outputs),
            "selected": lab.selected(outputs),
            "remaining": lab.remaining(Path(folder)),
        }


def write_early() -> dict[str, Any]:
    """What is read of the folders of the first versions; the folders are never made again."""
    with tempfile.TemporaryDirectory() as folder:
        return early.readings(Path(folder))


def write_curves() -> dict[str, Any]:
    """The curves of every case, and of every engine that runs here."""
    with tempfile.TemporaryDirectory() as folder:
        return curves.all_curves(Path(folder))


def add_curves() -> dict[str, Any]:
    """The curves as they are, and those of options without one, with the machine of each of these."""
    written = read("curves")
    new = {k: v for k, v in cases.trained_models().items() if k not in written["models"]}
    with tempfile.TemporaryDirectory() as folder:
        written["models"] |= curves.case_curves(Path(folder), new)
    written["machines"] = written.get("machines", {}) | dict.fromkeys(new, product.where())
    return written


def write_schemas() -> dict[str, Any]:
    """Keys and types of what verbs print and of what is stored."""
    with tempfile.TemporaryDirectory() as folder:
        return schemas.all_schemas(Path(folder))


RECORDS: dict[str, Callable[[], dict[str, Any]]] = {
    "ids": ids,
    "lab": write_lab,
    "early": write_early,
    "curves": write_curves,
    "new_curves": add_curves,
    "fits": fits.all_fits,
    "schemas": write_schemas,
}


def read(name: str) -> dict[str, Any]:
    """A golden record."""
    return json.loads((product.FOLDER / f"{name}.json").read_text())


def main(names: list[str]) -> None:
    """Write some records, or all of them."""
    for name in names or [name for name in RECORDS if name != "new_curves"]:
        header = {"written by": "python -m tests.golden.write", "commit": product.commit()}
        text = json.dumps(header | RECORDS[name](), indent=1, allow_nan=False)
        file = f"{name.removeprefix('new_')}.json"
        (product.FOLDER / file).write_text(text + "\n")
        print(f"{file}: {len(text) / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
