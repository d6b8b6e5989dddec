"""Packs: which runs may be trained in one process as one stacked model.

Members of a pack are runs of their own and differ in numbers only. There is no list of packs that
workers follow: a worker takes the first run that is ready and others of its kind, so a pack that
was killed, or lost members, forms again from what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records.attempt import Progress
from scalinglab.scaling.records.identity import digest, without
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.run.step_options import unpackable_execution
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.training.starts import starts_of
from scalinglab.sweeps.config import PACKS_OFF, LaunchConfig

if TYPE_CHECKING:
    from scalinglab.scaling.run.resolve import Run
    from scalinglab.sweeps.store.stored_plan import StoredRun

T = TypeVar("T")
# Members of a pack may differ in these keys and in the optimizer's numbers. All other science
# decides the stacked model or its batches.
OWN = ("seed", "schedule", "data.seed", "data.mixture", "init_from")


def pack_kind(run: Run, execution: ExecutionConfig) -> str | None:
    """A hash of what all members of a pack have in common; None: the run is not packable.

    Runs of one kind agree in shape, data, batch, length, precision, trainer and the optimizer's
    name and switches. To be packed they must also start from the same step (`companions`).
    """
    if unpackable_reason(run, execution) is not None:
        return None
    numbers = [
        key
        for key, value in flatten(run.science).items()
        if key.startswith("optimizer.") and isinstance(value, float)
    ]
    return digest(without(run.science, (*OWN, *numbers)))


def unpackable_reason(run: Run, execution: ExecutionConfig) -> str | None:
    """Why a run cannot be a member of a pack, in a few words; None if it can."""
    if run.is_command:
        return "another program trains them (trainer=command)"
    if execution.processes > 1:
        return f"{execution.processes} processes share each batch (execution.processes)"
    return run.architecture.alone or unpackable_execution(execution)


def form_packs(
    runs: Iterable[T], place: Callable[[T], Hashable | None], size: Callable[[T], int]
) -> list[list[T]]:
    """Group runs into packs, filled in order; a run whose place is None is a pack of one.

    Parameters
    ----------
    runs : iterable
        In the order in which they will be trained.
    place : callable
        Key that the members of a pack have in common.
    size : callable
        Members of a full pack.
    """
    packs: list[list[T]] = []
    filling: dict[Hashable, list[T]] = {}
    for run in runs:
        pack_place = place(run)
        pack = filling.get(pack_place) if pack_place is not None else None
        if pack is None or len(pack) >= size(run):
            pack = filling[pack_place] = []
            packs.append(pack)
        pack.append(run)
    return packs


def companions(ready: Sequence[StoredRun], size: int) -> list[StoredRun]:
    """The first of some ready runs, and those that can start from the same step, in their order.

    That step is the first run's furthest checkpoint. If its process was killed while it saved its
    pack, it is the save before, of which all members have a checkpoint.
    """
    first = ready[0]
    if size == 1 or first.kind is None:
        return [first]
    same = {r: starts(r.folder) for r in ready if r.kind == first.kind}
    start = max(
        same[first], key=lambda s: (min(size, sum(s in steps for steps in same.values())), s)
    )
    return [run for run, steps in same.items() if start in steps]


def starts(folder: RunFolder) -> set[int]:
    """Steps from which a run may continue and lose no more than was trained between two saves.

    Its furthest checkpoint, and the step at which the whole pack of its latest attempt was saved.
    """
    steps = [*starts_of(folder.outputs, folder.spec()), 0]
    saved = latest_progress(folder).saved
    return {steps[0], saved} if saved in steps else {steps[0]}


def pack_of(folder: RunFolder) -> str:
    """Name of the pack of a run's latest attempt; the run's id if it was alone."""
    return latest_progress(folder).pack or folder.run_id


def latest_progress(folder: RunFolder) -> Progress:
    """The last progress report of a run's latest attempt; empty if there was none."""
    numbers = folder.attempt_numbers()
    return folder.progress(numbers[-1]) if numbers else Progress()


def vanished_pack(folder: RunFolder) -> str | None:
    """The pack of a run's latest attempt if that vanished without reporting its end, else None."""
    attempt = folder.latest_attempt()
    if attempt is None or attempt.end is not None:
        return None
    return latest_progress(folder).pack


def pack_size(config: LaunchConfig, run: StoredRun) -> int:
    """The most members of a pack that this run may join."""
    if run.kind is None or config.pack in PACKS_OFF:
        return 1
    return run.pack if config.pack == "auto" else config.pack
