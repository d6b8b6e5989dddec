"""Which checkpoints nothing needs any more, and removing them.

Nothing refers to a checkpoint by its path: a run starts from whatever checkpoint of its prefixes
exists and trains the steps that are missing. So removing one never loses a result; it can only cost
the training up to its step.

Each file goes with one unlink; of a checkpoint in parts the manifest goes first. So removing may be
killed at any moment. It may run beside workers: whatever an unfinished run may start from stays,
and a family with a run in training is left alone. While a plan or a run cannot be read, its needs
are unknown and no checkpoint goes.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from scalinglab.scaling.data.making import abandoned_stores
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.records.atomic import folders_in, server_time
from scalinglab.scaling.records.damage import SET_ASIDE
from scalinglab.scaling.records.initial_weights import WEIGHTS
from scalinglab.scaling.records.parts import parts_of, remove_checkpoint
from scalinglab.scaling.records.prefixes import SUFFIXES
from scalinglab.sweeps.watch.checkpoint_kinds import KEEP, KINDS, kinds_in_family
from scalinglab.sweeps.watch.needs import Needs, read_needs

TEMPORARY_SECONDS = 3600.0
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}|\.\d+\.beat\.\d+")


def survey(outputs: Path, keep: str = "branch") -> pd.DataFrame:
    """Every checkpoint and temporary file below `outputs`, and whether it may go.

    Parameters
    ----------
    outputs : Path
        The folder of all runs and studies.
    keep : str
        What stays beside the needs of unfinished runs: "weights" (branch points and final weights),
        "branch" (branch points) or "needed" (nothing else).

    Returns
    -------
    DataFrame
        Columns ``path, kind, bytes, goes``.

    Raises
    ------
    ConfigError
        If `keep` is another word.
    """
    one_of("keep", keep, KEEP)
    rows = []
    stores = [
        (path, "half a store")
        for resumable in (False, True)
        for path in abandoned_stores(outputs / "data", resumable=resumable)
    ]
    needs = read_needs(outputs)
    weights = (*_checkpoints(outputs, needs, keep), *_copies(outputs, needs, keep))
    for path, kind in (*weights, *stores, *_temporary(outputs)):
        with contextlib.suppress(FileNotFoundError):  # replaced by its owner while we looked
            goes = keep not in KINDS[kind][1]
            files = path.iterdir() if path.is_dir() else (path, *parts_of(path))
            size = sum(p.stat().st_size for p in files)
            rows.append({"path": path, "kind": kind, "bytes": size, "goes": goes})
    table = pd.DataFrame(rows, columns=["path", "kind", "bytes", "goes"])
    return table.astype({"bytes": int, "goes": bool})


def remove(table: pd.DataFrame) -> int:
    """Remove the files that `table` lets go; the number of those that still existed."""
    return sum([_remove(path) for path in table.loc[table["goes"], "path"]])


def _remove(path: Path) -> bool:
    if not path.is_dir():
        return remove_checkpoint(path)
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _checkpoints(outputs: Path, needs: Needs, keep: str) -> Iterator[tuple[Path, str]]:
    files = defaultdict(list)
    for path in outputs.glob("checkpoints/*/*"):
        if path.suffix in SUFFIXES:
            files[path.parent.name].append(path)
        elif path.suffix == SET_ASIDE:
            yield path, "damaged"
    for family, paths in files.items():
        for path, kind in kinds_in_family(paths, needs.families.get(family, []), needs.begun):
            stays = needs.all_read or kind == "left over" or keep in KINDS[kind][1]
            yield path, kind if stays else "undecided"


def _copies(outputs: Path, needs: Needs, keep: str) -> Iterator[tuple[Path, str]]:
    """Copies of files of weights; a recent one may belong to a study that is being planned."""
    now = server_time(outputs)
    for folder in folders_in(outputs / WEIGHTS):
        kind = needs.begun.get(folder.name)
        if kind is None and now - folder.stat().st_mtime < TEMPORARY_SECONDS:
            kind = "needed"
        kind = kind or "no run's"
        yield folder, kind if needs.all_read or keep in KINDS[kind][1] else "undecided"


def _temporary(outputs: Path) -> Iterator[tuple[Path, str]]:
    """Temporary files of writers that died."""
    folders = ("checkpoints/*", "runs/*", "runs/*/attempts", "studies/*", "studies/*/results", ".")
    now = server_time(outputs)
    for pattern in folders:
        for path in outputs.glob(f"{pattern}/.*"):
            temporary = _TEMPORARY.fullmatch(path.name) and path.is_file()
            if temporary and now - path.stat().st_mtime > TEMPORARY_SECONDS:
                yield path, "temporary"
    for path in _parts_without_manifest(outputs):
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime > TEMPORARY_SECONDS:
                yield path, "temporary"


def _parts_without_manifest(outputs: Path) -> set[Path]:
    """Parts that no manifest names: their checkpoint is still being saved, or never was."""
    # Parts first: one that a manifest names from now on is not among them.
    parts = set(outputs.glob("checkpoints/*/*.part"))
    for path in outputs.glob("checkpoints/*/*.json"):
        with contextlib.suppress(FileNotFoundError):
            parts -= set(parts_of(path))
    return parts


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each kind: files, bytes, whether they go, and why they are there."""
    rows = []
    for kind, (reason, _) in KINDS.items():
        of_kind = table[table["kind"] == kind]
        if len(of_kind):
            rows.append(
                {
                    "kind": kind,
                    "files": len(of_kind),
                    "size": size(int(of_kind["bytes"].sum())),
                    "": "goes" if of_kind["goes"].iloc[0] else "stays",
                    "why it is there": reason,
                }
            )
    return pd.DataFrame(rows, columns=["kind", "files", "size", "", "why it is there"])


def size(count: int) -> str:
    """ "512 B", "1.5 MB": bytes in powers of ten."""
    number, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.3g} {units[0]}"
