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
# Members of a pack may differ in these and in the optimizer's numbers. All other science decides
# the stacked model or its batches.
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
        What the members of a pack have in common.
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
    """The first of some ready runs, and those that can start with it, in their order.

    All can start from one step: where the first's furthest checkpoint is, or, if its process was
    killed while it saved its pack, one save earlier, where all of that pack have one.
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
    """Steps at which a run may go on without losing more than was trained between two saves.

    Its furthest checkpoint, and where the whole pack of its latest attempt was last saved.
    """
    steps = [*starts_of(folder.outputs, folder.spec()), 0]
    saved = last_said(folder).saved
    return {steps[0], saved} if saved in steps else {steps[0]}


def pack_of(folder: RunFolder) -> str:
    """Name of the pack in which a run's latest attempt is or was; its own id if it was alone."""
    return last_said(folder).pack or folder.run_id


def last_said(folder: RunFolder) -> Progress:
    """What the latest attempt at a run last said of itself; empty if there was none."""
    numbers = folder.attempt_numbers()
    return folder.progress(numbers[-1]) if numbers else Progress()


def vanished_pack(folder: RunFolder) -> str | None:
    """The pack of an attempt that was one member's and went without a word, else None."""
    attempt = folder.latest_attempt()
    if attempt is None or attempt.end is not None:
        return None
    return last_said(folder).pack


def pack_size(config: LaunchConfig, run: StoredRun) -> int:
    """How many runs are at most to train together with one of these."""
    if run.kind is None or config.pack in PACKS_OFF:
        return 1
    return run.pack if config.pack == "auto" else config.pack
