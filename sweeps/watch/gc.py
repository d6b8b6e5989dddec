"""Which checkpoints nothing needs any more, and removing them.

Nothing refers to a checkpoint by its path: a run looks for what lies on its way and trains what is
missing. So removing one never loses a result; it can cost the steps that it held. Removing is one
unlink a file (of a checkpoint in parts, first of what makes them whole), may be killed at any
moment and run beside workers: whatever an unfinished run may start from stays, and families of
which a run is being trained are left alone. While a plan or a run cannot be read nobody knows what
it needs: then no checkpoint goes.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scalinglab.scaling.config import one_of
from scalinglab.scaling.data.making import abandoned_stores
from scalinglab.scaling.records.atomic import folders_in, server_time
from scalinglab.scaling.records.damage import SET_ASIDE, DamagedFile, tell
from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.records.initial_weights import WEIGHTS
from scalinglab.scaling.records.parts import parts_of, remove_checkpoint
from scalinglab.scaling.records.plan_file import read_plan_file
from scalinglab.scaling.records.prefixes import SUFFIXES
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import branch_points
from scalinglab.sweeps.store.asked import still_read

KEEP = ("weights", "branch", "needed")
TEMPORARY_SECONDS = 3600.0
_CHECKPOINT = re.compile(r"(\d+)-(\w+?)(?:\.(\w+))?\.(?:pt|json)")
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}|\.\d+\.beat\.\d+")

# Kind of file -> why it is there, and the rules under which it stays.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "latest": ("an unfinished run goes on from it", KEEP),
    "needed": ("an unfinished run may start from it", KEEP),
    "in use": ("a run of its family is being trained", KEEP),
    "to be probed": ("a probe that was asked for has yet to read it", KEEP),
    "begun with": ("runs began with its weights", ("weights", "branch")),
    "kept": ("its study keeps it for probes", ("weights", "branch")),
    "branch point": ("a longer run or another cooldown may start from it", ("weights", "branch")),
    "final weights": ("the model that a run ended with", ("weights",)),
    "no run's": ("no run begins with these weights", ()),
    "unknown": ("no run here has this prefix", ("weights", "branch")),
    "undecided": ("a damaged plan or run may need it", KEEP),
    "left over": ("its run is finished", ()),
    "damaged": ("it was set aside: nothing reads it", ()),
    "half a store": ("whoever made it has died", ()),
    "temporary": ("its writer died more than an hour ago", ()),
}
_UNREAD = "nothing that it may need is removed"


@dataclass(frozen=True)
class _Known:
    """A run that is written down somewhere below the outputs."""

    folder: RunFolder
    spec: RunSpec
    pins: tuple[int, ...]
    kept: tuple[int, ...]
    asked: frozenset[int]
    planned: bool

    def is_unfinished(self) -> bool:
        """Whether there is something left to train that a plan or a person has asked for."""
        is_begun = self.planned or bool(self.folder.attempt_numbers())
        return is_begun and self.folder.done() is None

    def is_running(self) -> bool:
        attempt = self.folder.latest_attempt()
        return attempt is not None and self.folder.is_alive(attempt)


def survey(outputs: Path, keep: str = "branch") -> pd.DataFrame:
    """Every checkpoint and temporary file below `outputs`, and whether it may go.

    Parameters
    ----------
    keep : str
        What stays beyond that which unfinished runs need: "weights" (branch points and final
        weights), "branch" (branch points) or "needed" (nothing).

    Returns
    -------
    DataFrame
        Columns ``path, kind, bytes, goes``.

    Raises
    ------
    ConfigError
        If `keep` is none of these.
    """
    one_of("keep", keep, KEEP)
    rows = []
    stores = [
        (path, "half a store")
        for resumable in (False, True)
        for path in abandoned_stores(outputs / "data", resumable=resumable)
    ]
    runs = _survey_runs(outputs)
    found = (*_checkpoints(outputs, runs, keep), *_copies(outputs, runs, keep))
    for path, kind in (*found, *stores, *_temporary(outputs)):
        with contextlib.suppress(FileNotFoundError):  # replaced by its owner while we looked
            goes = keep not in KINDS[kind][1]
            files = path.iterdir() if path.is_dir() else (path, *parts_of(path))
            size = sum(p.stat().st_size for p in files)
            rows.append({"path": path, "kind": kind, "bytes": size, "goes": goes})
    table = pd.DataFrame(rows, columns=["path", "kind", "bytes", "goes"])
    return table.astype({"bytes": int, "goes": bool})


def remove(table: pd.DataFrame) -> int:
    """Remove what `table` said may go; how many went before their owners removed them."""
    return sum([_remove(path) for path in table.loc[table["goes"], "path"]])


def _remove(path: Path) -> bool:
    if not path.is_dir():
        return remove_checkpoint(path)
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def _checkpoints(outputs: Path, runs: _Runs, keep: str) -> Iterator[tuple[Path, str]]:
    files = defaultdict(list)
    for path in outputs.glob("checkpoints/*/*"):
        if path.suffix in SUFFIXES:
            files[path.parent.name].append(path)
        elif path.suffix == SET_ASIDE:
            yield path, "damaged"
    for family, paths in files.items():
        for path, kind in _of_family(paths, runs.families.get(family, []), runs.begun):
            stays = runs.all_read or kind == "left over" or keep in KINDS[kind][1]
            yield path, kind if stays else "undecided"


def _copies(outputs: Path, runs: _Runs, keep: str) -> Iterator[tuple[Path, str]]:
    """Copies of files of weights; a young one may be of a study that is being planned."""
    now = server_time(outputs)
    for folder in folders_in(outputs / WEIGHTS):
        kind = _of_begun(folder.name, runs.begun)
        if kind is None and now - folder.stat().st_mtime < TEMPORARY_SECONDS:
            kind = "needed"
        kind = kind or "no run's"
        yield folder, kind if runs.all_read or keep in KINDS[kind][1] else "undecided"


def _of_begun(content: str, begun: Mapping[str, bool]) -> str | None:
    """Why weights with which runs begin are there; None where no run does."""
    return None if content not in begun else "needed" if begun[content] else "begun with"


@dataclass(frozen=True)
class _Runs:
    """The runs that any run.json tells of.

    Attributes
    ----------
    families : mapping
        family_id -> those of it.
    begun : mapping of str to bool
        Weights with which runs begin -> whether one of these is unfinished.
    all_read : bool
        Whether all that may need something could be read.
    """

    families: Mapping[str, list[_Known]]
    begun: Mapping[str, bool]
    all_read: bool


def _survey_runs(outputs: Path) -> _Runs:
    pins: dict[str, tuple[int, ...]] = {}
    pins_kept: dict[str, tuple[int, ...]] = {}
    probed: dict[str, set[int]] = defaultdict(set)
    damage: list[DamagedFile] = []
    for one in still_read(outputs):
        if isinstance(one, DamagedFile):
            damage.append(one)
        else:
            probed[one[0]].add(one[1])
    for path in outputs.glob("studies/*/plan.json"):
        try:
            for run in read_plan_file(path).runs:
                pins[run.run_id] = (*pins.get(run.run_id, ()), *run.pins)
                pins_kept[run.run_id] = (*pins_kept.get(run.run_id, ()), *run.kept)
        except DamagedFile as error:
            damage.append(error)
    families: dict[str, list[_Known]] = defaultdict(list)
    begun: dict[str, bool] = {}
    for path in outputs.glob("runs/*/run.json"):
        folder = RunFolder(path.parent)
        if (damaged := folder.state_damage()) is not None:
            damage.append(damaged)
            continue
        spec = folder.spec()
        run_id = folder.run_id
        entry = _Known(
            folder,
            spec,
            pins.get(run_id, ()),
            pins_kept.get(run_id, ()),
            frozenset(probed.get(run_id, ())),
            run_id in pins,
        )
        families[spec.family_id].append(entry)
        if spec.initial is not None:
            content = spec.initial.content
            begun[content] = begun.get(content, False) or entry.is_unfinished()
    for one in damage:
        tell(one, _UNREAD)
    return _Runs(families, begun, not damage)


def _of_family(
    paths: list[Path], runs: list[_Known], begun: Mapping[str, bool]
) -> Iterator[tuple[Path, str]]:
    unfinished = [run for run in runs if run.is_unfinished()]
    done = {run.folder.run_id: run.folder.done() is not None for run in runs}
    busy = any(run.is_running() for run in unfinished)
    ends = {(r.spec.steps, prefix_id(r.spec.science, r.spec.steps)) for r in runs}
    branches = {
        (step, prefix_id(run.spec.science, step))
        for run in runs
        for step in (*run.pins, *(s for p in run.spec.all_pieces for s in branch_points(p)))
    }

    probed = {(s, prefix_id(r.spec.science, s)) for r in runs for s in r.asked}
    pins_kept = {
        (s, prefix_id(r.spec.science, s))
        for r in runs
        for s in ({*r.kept, r.spec.steps} if r.kept else ())  # the last step ends the series
        if s <= r.spec.steps
    }

    @functools.cache
    def on_the_way(step: int) -> set[str]:
        """Prefixes of the unfinished runs at a step."""
        return {prefix_id(r.spec.science, step) for r in unfinished if step <= r.spec.steps}

    for path in paths:
        parts = _CHECKPOINT.fullmatch(path.name)
        if parts is None:
            continue  # not of our making
        step, prefix, owner = int(parts[1]), parts[2], parts[3]
        source = _of_begun(f"{path.parent.name}/{parts[1]}-{prefix}", begun)
        if owner is not None:
            yield path, {True: "left over", False: "latest", None: "unknown"}[done.get(owner)]
        elif prefix in on_the_way(step) or source == "needed":
            yield path, "needed"
        elif busy:
            yield path, "in use"
        elif (step, prefix) in probed:
            yield path, "to be probed"
        elif (step, prefix) in branches:
            yield path, "branch point"
        elif (step, prefix) in pins_kept:
            yield path, "kept"
        elif source is not None:
            yield path, source
        else:
            yield path, "final weights" if (step, prefix) in ends else "unknown"


def _temporary(outputs: Path) -> Iterator[tuple[Path, str]]:
    """What writers that died left beside the files they were writing."""
    folders = ("checkpoints/*", "runs/*", "runs/*/attempts", "studies/*", "studies/*/results", ".")
    now = server_time(outputs)
    for pattern in folders:
        for path in outputs.glob(f"{pattern}/.*"):
            temporary = _TEMPORARY.fullmatch(path.name) and path.is_file()
            if temporary and now - path.stat().st_mtime > TEMPORARY_SECONDS:
                yield path, "temporary"
    for path in _nobodys_parts(outputs):
        with contextlib.suppress(FileNotFoundError):
            if now - path.stat().st_mtime > TEMPORARY_SECONDS:
                yield path, "temporary"


def _nobodys_parts(outputs: Path) -> set[Path]:
    """Parts that no checkpoint names: of a saving that is not over, or was never."""
    parts = set(outputs.glob("checkpoints/*/*.part"))  # first: what is named later is not here
    for path in outputs.glob("checkpoints/*/*.json"):
        with contextlib.suppress(FileNotFoundError):
            parts -= set(parts_of(path))
    return parts


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a kind: files, bytes, whether they go, and why they are there."""
    rows = []
    for kind, (why, _) in KINDS.items():
        of_kind = table[table["kind"] == kind]
        if len(of_kind):
            rows.append(
                {
                    "kind": kind,
                    "files": len(of_kind),
                    "size": size(int(of_kind["bytes"].sum())),
                    "": "goes" if of_kind["goes"].iloc[0] else "stays",
                    "why it is there": why,
                }
            )
    return pd.DataFrame(rows, columns=["kind", "files", "size", "", "why it is there"])


def size(count: int) -> str:
    """ "512 B", "1.5 MB": bytes in powers of ten."""
    number, units = float(count), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 1000 and len(units) > 1:
        number, units = number / 1000, units[1:]
    return f"{number:.3g} {units[0]}"
