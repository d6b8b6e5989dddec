"""The checkpoints that runs in an outputs folder still need, by their plans and questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.plan_file import read_plan_file
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.sweeps.store.probe_questions import unread_checkpoints

_CONSEQUENCE = "nothing that it may need is removed"
# Why weights with which runs begin stay, the strongest reason first.
_REASONS = ("needed", "to be probed", "begun with")


@dataclass(frozen=True)
class RunNeeds:
    """A described run, and at which steps its checkpoints are needed.

    Attributes
    ----------
    folder : RunFolder
    spec : RunSpec
    pins : tuple of int
        Steps from which other runs of a plan start.
    kept : tuple of int
        Steps that its study keeps for probes.
    asked : frozenset of int
        Steps that a question has yet to read.
    planned : bool
        Whether a stored plan holds it.
    """

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
        """Whether a process trains it now."""
        attempt = self.folder.latest_attempt()
        return attempt is not None and self.folder.is_alive(attempt)


@dataclass(frozen=True)
class Needs:
    """The needs of all runs that have a run.json.

    Attributes
    ----------
    families : mapping
        family_id -> its runs.
    begun : mapping of str to str
        Content of weights with which runs begin -> the kind that says why they stay.
    all_read : bool
        Whether every file could be read that may say what is needed.
    """

    families: Mapping[str, list[RunNeeds]]
    begun: Mapping[str, str]
    all_read: bool


def read_needs(outputs: Path) -> Needs:
    """Read the needs of all runs; damaged files are reported."""
    damage: list[DamagedFile] = []
    asked = _asked_steps(outputs, damage)
    pins, kept = _planned_steps(outputs, damage)
    families: dict[str, list[RunNeeds]] = defaultdict(list)
    begun: dict[str, str] = {}
    for path in outputs.glob("runs/*/run.json"):
        folder = RunFolder(path.parent)
        if (damaged := folder.state_damage()) is not None:
            damage.append(damaged)
            continue
        run_id, spec = folder.run_id, folder.spec()
        run = RunNeeds(
            folder,
            spec,
            pins.get(run_id, ()),
            kept.get(run_id, ()),
            frozenset(asked.get(run_id, ())),
            run_id in pins,
        )
        families[spec.family_id].append(run)
        if spec.initial is not None:
            content = spec.initial.content
            kinds = {begun.get(content), _kind_of_source(run)}
            begun[content] = next(kind for kind in _REASONS if kind in kinds)
    for error in damage:
        tell(error, _CONSEQUENCE)
    return Needs(families, begun, not damage)


def _kind_of_source(run: RunNeeds) -> str:
    """The kind of the weights with which a run begins, as far as this run needs them."""
    if run.is_unfinished():
        return "needed"
    # A run leaves no checkpoint of its own at step 0: a probe of that step reads the source.
    return "to be probed" if 0 in run.asked else "begun with"


def _asked_steps(outputs: Path, damage: list[DamagedFile]) -> dict[str, set[int]]:
    """run_id -> steps that questions have yet to read; damaged questions join `damage`."""
    steps: dict[str, set[int]] = defaultdict(set)
    for place in unread_checkpoints(outputs):
        if isinstance(place, DamagedFile):
            damage.append(place)
        else:
            steps[place[0]].add(place[1])
    return steps


def _planned_steps(
    outputs: Path, damage: list[DamagedFile]
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """run_id -> steps that plans pin, and that they keep; damaged plans join `damage`."""
    pins: dict[str, tuple[int, ...]] = {}
    kept: dict[str, tuple[int, ...]] = {}
    for path in outputs.glob("studies/*/plan.json"):
        try:
            for run in read_plan_file(path).runs:
                pins[run.run_id] = (*pins.get(run.run_id, ()), *run.pins)
                kept[run.run_id] = (*kept.get(run.run_id, ()), *run.kept)
        except DamagedFile as error:
            damage.append(error)
    return pins, kept
