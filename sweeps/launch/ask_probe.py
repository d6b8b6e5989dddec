"""From a request to probe a study's checkpoints to a question; every mistake is refused here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import Place, RequestedResult
from scalinglab.scaling.probes.probe import Probe, check_memory, key_of, probe_of
from scalinglab.scaling.records.identity import digest, without
from scalinglab.scaling.records.prefixes import (
    checkpoint_name,
    no_checkpoint,
    owner_of,
    stored_checkpoints,
)
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State
from scalinglab.sweeps.store.probe_questions import ProbeQuestion
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import StoredRun, read_plan

END, ALL = "end", "all"
_OF_THE_END = ("schedule", "steps")  # in which runs of one prefix may differ
_SEEDS = ("seed", "data.seed")  # in which runs that are read together may differ


@dataclass(frozen=True)
class CheckedQuestion:
    """A question, and the runs that it leaves out.

    Attributes
    ----------
    question : ProbeQuestion
    left_out : tuple of str
        A sentence for each reason why runs are not read.
    """

    question: ProbeQuestion
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """A run that can be read: its description, and the steps of its checkpoints."""

    run_id: str
    spec: RunSpec
    kept: list[int]


def ask_probe(
    outputs: Path,
    study: str,
    probe: str,
    options: dict[str, Any],
    steps: str | Sequence[int] = END,
    runs: str | None = None,
    here: bool = True,
) -> CheckedQuestion:
    """Determine the numbers that a probe measures on checkpoints of finished runs.

    Parameters
    ----------
    outputs, study
        Where the study's plan lies.
    probe : str
        Name of the probe.
    options : dict
        Its options.
    steps : str or sequence of int
        "end", "all" (every step that has a checkpoint), or steps.
    runs : str, optional
        A selection of runs.
    here : bool
        Whether this machine reads them, and must have the memory.

    Raises
    ------
    ConfigError
        On any mistake, in one sentence; nothing was read or written by then.
    """
    question = probe_of(probe, options)
    plan = read_plan(outputs, study)
    chosen = plan.runs if runs is None else select(plan.runs, runs)
    readable, left_out = _readable(chosen, outputs)
    if not readable:
        reason = "; ".join(left_out) or "it has none"
        raise ConfigError(f"study {study!r} has no run that a probe can read: {reason}")
    for run in readable:
        question.check(run.spec, outputs)
        if here:
            check_memory(probe, question, run.spec)
    further = tuple(question.beside(outputs))
    _check_kept(outputs, further)
    by_run = (
        _of_seeds(question, readable, steps)
        if question.of_seeds
        else _each(question, readable, steps, further)
    )
    question = question.prepared(outputs)
    key = key_of(probe, question, outputs)
    return CheckedQuestion(ProbeQuestion(probe, key, asdict(question), by_run), tuple(left_out))


def _readable(chosen: Sequence[StoredRun], outputs: Path) -> tuple[list[_Run], list[str]]:
    """The runs whose checkpoints can be read, and why others are left out."""
    readable: list[_Run] = []
    reasons: dict[str, int] = defaultdict(int)
    for run in chosen:
        state, spec = run.folder.state(), run.folder.spec()
        if spec.is_command:
            reasons["trained by another program, whose checkpoints are its own"] += 1
        elif state != State.DONE:
            reasons[str(state)] += 1
        else:
            kept_steps = {
                at for at, path in stored_checkpoints(outputs, spec.science) if not owner_of(path)
            }
            readable.append(_Run(run.folder.run_id, spec, sorted(kept_steps)))
    return readable, [
        f"{count} of {len(chosen)} runs: {reason}" for reason, count in reasons.items()
    ]


def _check_kept(outputs: Path, places: Sequence[Place]) -> None:
    """Refuse checkpoints of further runs that are gone."""
    for run_id, step in places:
        science = RunFolder(outputs / "runs" / run_id).spec().science
        if step and step not in {at for at, _ in stored_checkpoints(outputs, science)}:
            raise ConfigError(no_checkpoint(outputs, run_id, science, step))


def _each(
    probe: Probe, runs: list[_Run], steps: str | Sequence[int], further: tuple[Place, ...]
) -> dict[str, list[RequestedResult]]:
    by_run = {run.run_id: _requested(probe, run, [run], steps) for run in runs}
    by_run = {
        run_id: [replace(requested, reads=requested.reads + further) for requested in questions]
        for run_id, questions in by_run.items()
    }
    return by_run if probe.of_whole_run else _with_twins(runs, by_run)


def _with_twins(
    runs: list[_Run], by_run: dict[str, list[RequestedResult]]
) -> dict[str, list[RequestedResult]]:
    """Each checkpoint that several runs share is to be read once, beside the first of them.

    Their next batches are the same only where their mixtures are, too, also beyond the step.
    """
    first: dict[tuple[Any, ...], str] = {}
    shared: dict[str, list[RequestedResult]] = {}
    for run in runs:
        rest = digest(without(run.spec.science, _OF_THE_END))
        shared[run.run_id] = []
        for requested in by_run[run.run_id]:
            read = tuple(step for _, step in requested.reads)
            place = (rest, checkpoint_name(run.spec.science, requested.step), read)
            owner = first.setdefault(place, run.run_id)
            twins = () if owner == run.run_id else (owner,)
            shared[run.run_id].append(replace(requested, twins=twins))
    return shared


def _requested(
    probe: Probe, run: _Run, members: list[_Run], steps: str | Sequence[int]
) -> list[RequestedResult]:
    """The numbers at each step, and the checkpoints of `members` that they read.

    If all steps are asked for, those are left out that have too few checkpoints before them.
    """
    questions: list[RequestedResult] = []
    refusal: ConfigError | None = None
    for step in _steps(probe, run, steps):
        try:
            reads = tuple((m.run_id, at) for m in members for at in _reads(probe, m, step))
        except ConfigError as error:
            if steps != ALL:
                raise
            refusal = refusal or error
        else:
            questions.append(RequestedResult(step, reads))
    if refusal is not None and not questions:
        raise refusal
    return questions


def _of_seeds(
    probe: Probe, runs: list[_Run], steps: str | Sequence[int]
) -> dict[str, list[RequestedResult]]:
    """The numbers of each recipe with several seeds, by the id of the run with the lowest seed."""
    groups: dict[str, list[_Run]] = defaultdict(list)
    for run in runs:
        groups[digest(without(run.spec.science, _SEEDS))].append(run)
    by_run = {}
    for group in groups.values():
        members = sorted(group, key=lambda run: (run.spec.seed, run.run_id))
        if len(members) > 1:
            by_run[members[0].run_id] = _requested(probe, members[0], members, steps)
    if not by_run:
        raise ConfigError(
            f"the probe reads runs together that differ in their seeds alone, and none of these "
            f"{len(runs)} do: give the study several seeds, as in grid.seed=[0,1,2]"
        )
    return by_run


def _steps(probe: Probe, run: _Run, steps: str | Sequence[int]) -> list[int]:
    """The steps at which numbers of a run are asked for."""
    if probe.of_start:
        if steps not in (END, [0], (0,)):
            raise ConfigError(
                f"steps = {steps}: this probe reads initial weights alone; leave steps out"
            )
        return [0]
    if steps == END:
        return [run.spec.steps]
    if steps == ALL:
        return sorted({*run.kept, run.spec.steps})
    if isinstance(steps, str) or any(isinstance(s, bool) or s != int(s) for s in steps):
        raise ConfigError(f"steps = {steps!r}: allowed are end, all and steps, as in [100, 1000]")
    return sorted({int(step) for step in steps})


def _reads(probe: Probe, run: _Run, step: int) -> list[int]:
    """The steps of the checkpoints that the numbers at one step need; all of them exist."""
    if step != 0 and step not in run.kept:
        raise ConfigError(_not_kept(run, step))
    reads = probe.reads(step, [checkpoint for checkpoint in run.kept if checkpoint <= step])
    for checkpoint in reads:
        if checkpoint != 0 and checkpoint not in run.kept:
            raise ConfigError(_not_kept(run, checkpoint))
    return reads


def _not_kept(run: _Run, step: int) -> str:
    kept_steps = ", ".join(map(str, [0, *run.kept]))
    if step == run.spec.steps:
        way = "gc has removed it; move the run's folder away and launch again to train it once more"
    elif step > run.spec.steps:
        way = f"it ended after {run.spec.steps}"
    else:
        way = (
            f"study.checkpoints={{log: 8}} or [{step}] keeps more of runs that are still to be"
            " trained"
        )
    return f"steps: run {run.run_id} has no checkpoint of step {step}, only of {kept_steps}; {way}"
