"""Hints about GPU speed for a plan, and the check of GPU memory for a launch."""

from __future__ import annotations

from collections import Counter

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import least_bytes, size_in_words
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.scaling.training.throughput import FP32_TFLOPS, known_of, peak_flops
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.places import worker_devices
from scalinglab.sweeps.plan.plan import Plan, PlannedRun

ALIGNED = 64  # a vocabulary should be a multiple of it, for the products with the head
SMALL_VOCABULARY = 1_024  # below it the head is a small part of a step


def about_gpus(plan: Plan, config: LaunchConfig) -> list[str]:
    """Sentences about settings that cost speed on a GPU."""
    left = _left(plan)
    if plan.execution.device == "cpu" or not left:
        return []
    sentences = []
    plain = [p for p in left if p.run.config.precision == "fp32"]
    if plain:
        device = None if config.backend == "slurm" else machine.device_name("cuda")
        largest = max(plain, key=lambda p: p.run.C / p.run.steps)
        sentences.append(_about_precision(largest, device, plan.execution.processes))
    sizes = {p.run.shape.vocab for p in left}
    uneven = sorted(v for v in sizes if v >= SMALL_VOCABULARY and v % ALIGNED)
    for vocab in uneven:
        padded = -(-vocab // ALIGNED) * ALIGNED
        sentences.append(
            f"a vocabulary of {vocab:,} is no multiple of {ALIGNED}, which makes products with the "
            f"head slow: data.options.vocab={padded} (data=tokens) adds {padded - vocab} symbols "
            "that never occur; they count in N, and the runs are others"
        )
    return sentences


def _about_precision(planned: PlannedRun, device: str | None, processes: int) -> str:
    """Possible gain of bf16 and TF32 by the device's peaks; only steps in fp32 are measured."""
    other_runs = "precision=bf16 and precision=tf32 are other runs, with ids of their own"
    half, full = peak_flops(device), known_of(FP32_TFLOPS, device)
    if half is None or full is None:
        return (
            "precision = fp32 leaves the matrix units of a GPU idle, which compute in bf16 and "
            f"tf32 several times as fast; {other_runs}"
        )
    run = planned.run
    flops = run.C / run.steps / processes
    in_fp32, in_bf16, in_tf32 = (1e3 * flops / peak for peak in (full * 1e12, half, half / 2))
    return (
        f"precision = fp32: the arithmetic of a step of width {run.shape.width}, depth "
        f"{run.shape.depth} takes {in_fp32:.2g} ms or more on a {device}, in tf32 {in_tf32:.2g}, "
        f"in bf16 {in_bf16:.2g}; {other_runs}"
    )


def check_gpu_memory(plan: Plan, config: LaunchConfig) -> None:
    """Refuse runs that do not fit into the free memory of this machine's GPUs.

    A micro-batch that is too large is halved during the training. So a run is refused only if it
    does not fit with one sequence at a time.

    Raises
    ------
    ConfigError
        Names a run, a GPU, and the way out.
    """
    execution, left = plan.execution, _left(plan)
    if execution.device == "cpu" or config.backend == "slurm" or not left:
        return
    places = worker_devices(config, execution)
    if config.backend == "inline":
        places = places[:1]
    workers = Counter(name for names in places if names for name in names.split(","))
    memory = machine.gpu_memory()
    need_bytes, largest = max(((_least(p, plan), p) for p in left), key=lambda pair: pair[0])
    for name, count in workers.items():
        free, total = memory.get(name, (float("inf"),) * 2)
        if count * need_bytes <= free:
            continue
        each = "" if count == 1 else f", {count} at once (launch.workers_a_gpu)"
        sentence = (
            f"{size_in_words(largest.run.architecture)}: training takes "
            f"{need_bytes / 1e9:.3g} GB or more{each}, one sequence at a time; GPU {name} has "
            f"{free / 1e9:.3g} GB free of {total / 1e9:.3g}"
        )
        if count * need_bytes <= total:
            raise ConfigError(
                f"{sentence}: other processes hold the rest. Wait for them, or choose "
                "other GPUs with CUDA_VISIBLE_DEVICES"
            )
        raise ConfigError(
            f"{sentence}; execution.recompute=true and execution.loss_chunk=4096 take "
            "less, execution.processes=2 execution.shard=true divide it"
        )


def _least(planned: PlannedRun, plan: Plan) -> float:
    execution, run = plan.execution, planned.run
    return least_bytes(
        run.architecture,
        run.config.optimizer.name,
        StepOptions.of(run.config, execution),
        shards=execution.processes if execution.shard else 1,
    )


def _left(plan: Plan) -> list[PlannedRun]:
    """Unfinished runs that our engine trains."""
    return [p for p in plan.runs if p.new_steps and not p.run.is_command]
