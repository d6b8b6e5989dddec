"""Why a checkpoint is there: the kinds of files that ``gc`` tells apart, and which stay when."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from scalinglab.scaling.records.identity import prefix_id
from scalinglab.scaling.schedule.pieces import branch_points
from scalinglab.sweeps.watch.needs import RunNeeds

KEEP = ("weights", "branch", "needed")
_CHECKPOINT = re.compile(r"(?P<step>\d+)-(?P<prefix>\w+?)(?:\.(?P<owner>\w+))?\.(?:pt|json)")

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


def kinds_in_family(
    paths: list[Path], runs: list[RunNeeds], begun: Mapping[str, str]
) -> Iterator[tuple[Path, str]]:
    """The kind of each checkpoint of one family; files that are no checkpoints are left out.

    Parameters
    ----------
    paths : list of Path
        Files in the family's folder.
    runs : list of RunNeeds
        The runs of the family.
    begun : mapping of str to str
        As in `Needs`.
    """
    family = _Family(runs)
    for path in paths:
        name = _CHECKPOINT.fullmatch(path.name)
        if name is None:
            continue
        source = begun.get(f"{path.parent.name}/{name['step']}-{name['prefix']}")
        if name["owner"] is not None:
            yield path, family.kind_of_latest(name["owner"])
        else:
            yield path, family.kind_of_shared(int(name["step"]), name["prefix"], source)


class _Family:
    """The runs of one family, and the (step, prefix) pairs that they need."""

    def __init__(self, runs: list[RunNeeds]) -> None:
        self._unfinished = [run for run in runs if run.is_unfinished()]
        self._busy = any(run.is_running() for run in self._unfinished)
        self._done = {run.folder.run_id: run.folder.done() is not None for run in runs}
        self._probed = _prefixes(runs, lambda run: run.asked)
        self._branches = _prefixes(
            runs,
            lambda run: (*run.pins, *(s for p in run.spec.all_pieces for s in branch_points(p))),
        )
        self._kept = _prefixes(runs, _kept_series)
        self._ends = _prefixes(runs, lambda run: (run.spec.steps,))
        self._on_the_way = functools.cache(self._unfinished_prefixes)

    def kind_of_latest(self, owner: str) -> str:
        """The kind of a checkpoint that is one run's own: its latest."""
        if owner not in self._done:
            return "unknown"
        return "left over" if self._done[owner] else "latest"

    def kind_of_shared(self, step: int, prefix: str, source: str | None) -> str:
        """The kind of a checkpoint that all runs of a prefix share.

        `source` is its kind as weights with which runs begin, if any do.
        """
        if prefix in self._on_the_way(step) or source == "needed":
            return "needed"
        if self._busy:
            return "in use"
        if (step, prefix) in self._probed or source == "to be probed":
            return "to be probed"
        if (step, prefix) in self._branches:
            return "branch point"
        if (step, prefix) in self._kept:
            return "kept"
        if source is not None:
            return source
        return "final weights" if (step, prefix) in self._ends else "unknown"

    def _unfinished_prefixes(self, step: int) -> set[str]:
        """Prefixes of the unfinished runs at a step."""
        runs = (run for run in self._unfinished if step <= run.spec.steps)
        return {prefix_id(run.spec.science, step) for run in runs}


def _kept_series(run: RunNeeds) -> list[int]:
    """The steps that a study keeps of a run, ended by the last one."""
    return [s for s in (*run.kept, run.spec.steps) if s <= run.spec.steps] if run.kept else []


def _prefixes(
    runs: list[RunNeeds], steps: Callable[[RunNeeds], Iterable[int]]
) -> set[tuple[int, str]]:
    """(step, prefix) of some runs at some steps of each."""
    return {(step, prefix_id(run.spec.science, step)) for run in runs for step in steps(run)}
