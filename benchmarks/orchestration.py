"""Time of the tool itself on a study of 2,000 runs: planning, storing, status, collecting.

Run folders are written by the project's own writers, with synthetic losses. Only a few runs of four
steps are trained at the end, to measure the overhead of the pool per run.

    python benchmarks/orchestration.py [folder]
    python benchmarks/orchestration.py --launch 500 2000 10000

The second form measures the overhead of a launch per run, for studies of these many runs: processor
seconds of launcher and worker per run of four steps, with half of the study done.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from scalinglab.compose import compose
from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.curve import Curve, curve_text, write_curve
from scalinglab.scaling.records.fingerprint import code_fingerprint
from scalinglab.scaling.records.record import build_record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.events import validation_steps
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.watch.collect import collect
from scalinglab.terminal import Screen
from scalinglab.watch import Watch

# 8 sizes x 5 lengths x 5 rates x 10 seeds: 400 trunks with five cooldowns each.
STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: many
  question: How long does the tool take?
  blocks:
    ladder:
      role: fit
      grid:
        model: {width: [16, 32, 48, 64, 80, 96, 112, 128]}
        tokens: [163840, 204800, 245760, 286720, 327680]
        optimizer: {lr: [1e-3, 2e-3, 4e-3, 8e-3, 16e-3]}
        seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
model: {depth: 2, head_dim: 16, context: 64}
batch: 16
schedule: {warmup_tokens: 8192}
data:
  options: {vocab: 64, tokens: 400001, validation_tokens: 8193}
  validation_tokens: 8192
"""
TRIVIAL = [
    "study.blocks.ladder.grid.model.width=[16]",
    "study.blocks.ladder.grid.tokens=[4096]",
    "study.blocks.ladder.grid.optimizer.lr=[1e-3]",
    "study.name=trivial",
    "schedule=constant",
    "schedule.warmup_tokens=1024",
    "data.validation_tokens=1024",
]
DONE, INTERRUPTED, RUNNING = 1800, 100, 32  # of 2,000; the rest is planned


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print wall time and processor time of the block."""
    start, worked = time.perf_counter(), time.process_time()
    yield
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    print(f"{what:<45} {seconds:8.2f} s, at work {worked:6.2f} s", flush=True)


def train_in_name_only(folder: RunFolder) -> None:
    """Write the files of a finished run: an attempt, a curve, a record and DONE."""
    run = folder.spec()
    steps = run.steps
    loss = (2.0 + 3.0 * np.arange(1, steps + 1) ** -0.3).astype(np.float32)
    validation = {s: float(loss[s - 1]) + 0.01 for s in validation_steps(run.pieces)}
    curve = Curve(loss, np.ones(steps, np.float32), validation)
    claim = Claim.acquire(folder, 60.0)
    assert claim is not None
    files = {"record": "record-0001.json", "curve": "curve-0001.csv.gz"}
    text = curve_text(curve, lr_array(run.pieces), run.tokens_per_step, run.bytes_per_token)
    write_curve(folder.path / files["curve"], text)
    write_json(
        folder.path / files["record"],
        build_record(
            run,
            curve,
            status=State.DONE,
            attempt=1,
            started_at_step=0,
            machine={},
            versions={},
            throughput={
                "seconds": 1.0,
                "steps": steps,
                "tokens_per_second": 1e5,
                "members": 1,
                "flops_per_second": None,
            },
            code={"commit": None, "fingerprint": code_fingerprint()},
        ),
    )
    claim.finish(State.DONE, steps, files)


def main() -> None:
    """Print the figures."""
    if sys.argv[1:2] == ["--launch"]:
        for count in map(int, sys.argv[2:]):
            with tempfile.TemporaryDirectory() as folder:
                launching(Path(folder), count)
        return
    below = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    (below / "conf" / "study").mkdir(parents=True, exist_ok=True)
    (below / "conf" / "study" / "many.yaml").write_text(STUDY)
    os.chdir(below)
    with timed("compose"):
        composed = compose(["study=many"])
    with timed("make_plan, data store included"):
        make_plan(composed)
    with timed("make_plan, 2,000 runs, nothing done"):
        plan = make_plan(composed)
    with timed("save_plan, first time"):
        save_plan(plan)
    with timed("save_plan again"):
        save_plan(plan)
    outputs, folders = plan.outputs, [plan.run_folder(p) for p in plan.runs]
    with timed(f"claim, curve, record, DONE of {DONE:,} runs"):
        for folder in folders[:DONE]:
            train_in_name_only(folder)
    for folder in folders[DONE : DONE + INTERRUPTED]:
        Claim.acquire(folder, 60.0).release(Outcome.INTERRUPTED)
    running = [Claim.acquire(f, 60.0) for f in folders[DONE + INTERRUPTED :][:RUNNING]]
    for claim in running:
        claim.report({"step": 3, "steps": 9, "loss": 2.0, "tokens_per_second": 1e4, "seconds": 1})
    with timed("status, first time"):
        found = status(outputs, "many")
    print(found["state"].value_counts().to_dict())
    with timed("status again"):
        status(outputs, "many")
    with timed("collect, first time"):
        collect(outputs, "many")
    with timed("collect again, nothing new"):
        collect(outputs, "many")
    with timed(f"make_plan with {DONE:,} done"):
        make_plan(composed)
    for claim in running:
        claim.release(Outcome.INTERRUPTED)
    trivial(outputs)
    if len(sys.argv) == 1:
        shutil.rmtree(below)


def trivial(outputs: Path) -> None:
    """Overhead of a pool of one worker per run of four steps."""
    seeds = 40
    plan = make_plan(
        compose(["study=many", *TRIVIAL, f"study.blocks.ladder.grid.seed={list(range(seeds))}"])
    )
    save_plan(plan)
    start = time.perf_counter()
    launch(outputs, "trivial", LaunchConfig("local", workers=1))
    seconds = time.perf_counter() - start
    found = status(outputs, "trivial")
    assert set(found["state"]) == {State.DONE}
    tries = [plan.run_folder(p).attempt(1) for p in plan.runs]
    began = min(t.owner.started for t in tries)
    busy = max(t.end.ended for t in tries if t.end) - began
    trained = found["seconds"].sum()
    print(
        f"pool of one worker, {seeds} runs of four steps: {seconds:.1f} s, of which the start "
        f"{seconds - busy:.1f} s, steps and validation {trained:.1f} s, "
        f"the rest {(busy - trained) / seeds:.2f} s a run"
    )


TRAINED = 20  # runs after which a launch of many is cancelled


def launching(below: Path, count: int) -> None:
    """Processor seconds per run of the first few of many, inline and by a pool of one worker."""
    (below / "conf" / "study").mkdir(parents=True)
    (below / "conf" / "study" / "many.yaml").write_text(STUDY)
    os.chdir(below)
    seeds = f"study.blocks.ladder.grid.seed={list(range(count))}"
    plan = make_plan(compose(["study=many", *TRIVIAL, seeds]))
    save_plan(plan)
    folders = [plan.run_folder(p) for p in plan.runs]
    for folder in folders[: count // 2]:
        train_in_name_only(folder)
    for backend in ("inline", "local"):
        left = [folder for folder in folders if folder.done() is None]
        cost = launch_cost(plan.outputs, backend, left)
        print(f"{count:6,} runs, {backend:<6}: {cost:7.3f} s of the processor a run", flush=True)


def launch_cost(outputs: Path, backend: str, left: list[RunFolder]) -> float:
    """Processor seconds per run from the third run on, after imports and warm-up."""
    ends = {TRAINED // 10: 0.0, TRAINED: 0.0}  # runs -> processor seconds by then
    trained = 0
    with Watch(Screen(io.StringIO()), outputs, "trivial") as watch:

        def on_tick() -> None:
            nonlocal trained
            watch.tick()
            while trained < TRAINED and left[trained].done() is not None:
                trained += 1
                if trained in ends:
                    ends[trained] = time.process_time() + children_seconds()
            if trained == TRAINED:
                for file in (outputs / "studies/trivial/launches").glob("*/launch.json"):
                    (file.parent / "cancelled").touch()

        launch(outputs, "trivial", LaunchConfig(backend, workers=1), on_tick)
    first, last = ends
    return (ends[last] - ends[first]) / (last - first)


def children_seconds() -> float:
    """Processor seconds of living children, which getrusage would only count once they ended."""
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


if __name__ == "__main__":
    main()
