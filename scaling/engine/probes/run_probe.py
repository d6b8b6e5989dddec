"""Computes a probe of a run; a worker calls this as it calls a trainer."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.probes.reading import PROBED_BY, AtLeast, AtMost, Reading, Stopped
from scalinglab.scaling.engine.steps.determinism import determinism
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.folder import ProbeFolder, RequestedResult
from scalinglab.scaling.probes.probe import Probe, check_memory, probe_of
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.training.endings import outcome, reason
from scalinglab.scaling.training.micro_batch import micro_batch

log = logging.getLogger(__name__)
_REPORT_SECONDS = 30.0  # between two reports that one long number is still being computed


def run_probe(
    claims: Sequence[Claim],
    pins: Mapping[str, Sequence[int]],
    execution: ExecutionConfig,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Compute a probe of one run, step after step; finished steps stay, however it ends.

    Parameters
    ----------
    claims : sequence of Claim
        One, of a `ProbeFolder`.
    pins : mapping
        Unused: no run starts from a probe.
    execution : ExecutionConfig
        Device, threads, sequences at once.
    should_stop : callable
        Whether to stop; called between parts of the work.
    """
    (claim,) = claims
    assert isinstance(claim.folder, ProbeFolder)
    torch.set_num_threads(execution.threads)
    claim.expect_reports(execution.hang_seconds)
    sequences = 1  # at once
    try:
        sequences = micro_batch(claim, execution.micro_batch, claim.folder.spec().batch)
        with determinism(execution.deterministic):
            ended = _all_steps(claim, claim.folder, execution, sequences, should_stop)
        claim.release(ended)
    except Stopped:
        claim.release(Outcome.INTERRUPTED)
        ended = Outcome.INTERRUPTED
    except BaseException as error:
        device = machine.device_name(execution.device)
        claim.release(reason(error), error, micro_batch=sequences, device=device)
        ended = outcome(error)
    gc.collect()
    return ended


def _all_steps(
    claim: Claim,
    folder: ProbeFolder,
    execution: ExecutionConfig,
    sequences: int,
    should_stop: Callable[[], bool],
) -> Outcome:
    probe = probe_of(folder.probe, dict(folder.options))
    check_memory(folder.probe, probe, folder.spec())
    # A result that several runs share is computed by the first; the others copy it at the end.
    missing = sorted(folder.missing(), key=lambda requested: requested.twins[:1] != ())
    for count, requested in enumerate(missing):
        if claim.is_cancelled():
            return Outcome.CANCELLED
        if should_stop():
            return Outcome.INTERRUPTED
        progress = {"start": 0, "step": count, "steps": len(missing)}
        claim.report(progress)
        stops = _reporting(claim, progress, should_stop)
        result = folder.shared(requested)
        if result is None:
            result = _result(folder, probe, requested, execution, sequences, stops)
        claim.check()
        folder.store(requested, result)
        claim.report({"start": 0, "step": count + 1, "steps": len(missing)})
    return Outcome.DONE


def _reporting(
    claim: Claim, progress: Mapping[str, int], should_stop: Callable[[], bool]
) -> Callable[[], bool]:
    """`should_stop`, which also reports now and then that a long number is being computed."""
    last_report = time.monotonic()

    def stops() -> bool:
        nonlocal last_report
        if time.monotonic() - last_report > _REPORT_SECONDS:
            last_report = time.monotonic()
            claim.report(dict(progress))
        return should_stop()

    return stops


def _result(
    folder: ProbeFolder,
    probe: Probe,
    requested: RequestedResult,
    execution: ExecutionConfig,
    sequences: int,
    should_stop: Callable[[], bool],
) -> dict[str, Any]:
    """The content of a result's file."""
    began = time.perf_counter()
    places = [
        (RunFolder(folder.outputs / "runs" / run_id).spec(), step)
        for run_id, step in requested.reads
    ]
    reading = Reading(
        folder.outputs, folder.spec(), requested.step, places, execution, sequences, should_stop
    )
    numbers = PROBED_BY[folder.probe](probe, reading)
    columns = {probe.column(folder.probe, name): number for name, number in numbers.items()}
    if not columns:
        raise UserError(f"probe = {folder.probe!r} gave no number of run {folder.spec().run_id}")
    bounds = {AtMost: "at_most", AtLeast: "at_least"}
    return {
        "probe": folder.probe,
        "options": dict(folder.options),
        "step": requested.step,
        "of_start": probe.of_start,
        "columns": {column: _plain(float(number)) for column, number in columns.items()},
        "censored": {
            column: bounds[type(number)]
            for column, number in columns.items()
            if type(number) in bounds
        },
        "reads": [list(place) for place in requested.reads],
        "seconds": time.perf_counter() - began,
        "machine": {"host": machine.host(), "device": machine.device_name(execution.device)},
        "commit": machine.code_commit(),
    }


def _plain(number: float) -> float | None:
    return number if math.isfinite(number) else None
