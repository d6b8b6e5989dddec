"""Launches that leave runs as if they had been trained: with the losses of a law, in no time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.fingerprint import code_fingerprint
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.events import validation_steps
from scalinglab.scaling.training.finish import finish
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import read_plan

E, A, ALPHA, B, BETA = 0.64, 23.0, 0.372, 711.0, 0.525  # what the quickstart study found
BEST_LR = 0.015
NOISE = 0.004


@contextlib.contextmanager
def trained_by_a_law() -> Iterator[None]:
    """Within it ``launch`` and ``train`` do all that they do, but for the training itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scalinglab.study.launch", _launch)
        patch.setattr("scalinglab.single_run.train_in_process", _train)
        yield


def _launch(
    outputs: Path, study: str, config: LaunchConfig, on_tick: Callable[[], None] = lambda: None
) -> bool:
    plan = read_plan(outputs, study)
    chosen = plan.runs if config.runs is None else select(plan.runs, config.runs, "launch.runs")
    for planned in chosen:
        _record(planned.folder)
    on_tick()
    return True


def _train(_screen: Any, folder: RunFolder, _execution: Any) -> Outcome:
    return _record(folder)


def _record(folder: RunFolder) -> Outcome:
    if folder.done() is not None:
        return Outcome.DONE
    claim = Claim.acquire(folder, 60)
    assert claim is not None
    spec = folder.spec()
    facts = {
        "throughput": {"seconds": 1.0, "steps": spec.steps, "tokens_per_second": 1e5},
        "code": {"fingerprint": code_fingerprint()},
    }
    finish(claim, spec, curve_of(spec), lr_array(spec.pieces), facts)
    return Outcome.DONE


def curve_of(spec: RunSpec) -> Curve:
    """A curve that ends at the loss of the law, higher where the learning rate is not the best."""
    rng = np.random.default_rng(int.from_bytes(spec.run_id.encode()[:6], "big"))
    luck = math.exp(NOISE * rng.standard_normal())
    step = np.arange(1, spec.steps + 1)
    off = 0.01 * math.log(spec.lr_peak / BEST_LR) ** 2
    end = (E + A / spec.counts["n_matmul"] ** ALPHA) * luck + off
    loss = end + B / (step * spec.tokens_per_step) ** BETA
    validation = {k: float(loss[k - 1]) for k in validation_steps(spec.pieces)}
    return Curve(loss.astype(np.float32), np.ones_like(loss, np.float32), validation)
