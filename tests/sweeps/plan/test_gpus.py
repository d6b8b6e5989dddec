"""What is said and checked of GPUs, on a machine that has none: nvidia-smi is a script."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import least_bytes, training_bytes
from scalinglab.scaling.run.step_options import StepOptions
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.gpus import about_gpus, check_gpu_memory
from scalinglab.sweeps.plan.make import make_plan

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def plan_for(study, monkeypatch, tmp_path):
    """A plan for a machine with GPUs that say so much memory of themselves, in MiB."""

    def planned(*memory: str, **config):
        script = tmp_path / "bin" / "nvidia-smi"
        script.parent.mkdir(exist_ok=True)
        lines = "\\n".join(f"{i}, GPU-{i}, {sizes}" for i, sizes in enumerate(memory))
        listed = "\\n".join(f"GPU {i}: {H100}" for i in range(len(memory)))
        script.write_text(
            f"#!/bin/sh\ncase $1 in --list*) printf '{listed}\\n';;\n"
            f"*=name) echo '{H100}';; *) printf '{lines}\\n';; esac\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        machine.device_name.cache_clear()
        plan = make_plan(study("study.blocks.ladder.grid.model.width=[8]"))
        configs = {p.run.run_id: replace(p.run.config, **config) for p in plan.runs}
        runs = [replace(p, run=replace(p.run, config=configs[p.run.run_id])) for p in plan.runs]
        return replace(plan, execution=replace(plan.execution, device="cuda"), runs=runs)

    yield planned
    machine.device_name.cache_clear()


def test_fp32_is_told_what_bf16_may_gain(plan_for) -> None:
    plan = plan_for("80000, 81559")
    (said,) = about_gpus(plan, LaunchConfig("local"))
    flops = max(p.run.C / p.run.steps for p in plan.runs)
    assert f"takes {1e3 * flops / 67e12:.2g} ms or more on a {H100}" in said
    assert f"in tf32 {1e3 * flops / 494.7e12:.2g}, in bf16 {1e3 * flops / 989.4e12:.2g}" in said
    (said,) = about_gpus(plan, LaunchConfig("slurm"))  # what its nodes have is not known here
    assert "several times as fast" in said
    for precision in ("bf16", "tf32"):
        assert about_gpus(plan_for("80000, 81559", precision=precision), LaunchConfig()) == []
    on_a_cpu = replace(plan, execution=replace(plan.execution, device="cpu"))
    assert about_gpus(on_a_cpu, LaunchConfig("local")) == []


def test_a_vocabulary_that_no_kernel_likes_is_told(plan_for) -> None:
    plan = plan_for("80000, 81559", precision="bf16")
    architecture = plan.runs[0].run.architecture
    large = replace(architecture, shape=replace(architecture.shape, vocab=50_257))
    runs = [replace(p, run=replace(p.run, architecture=large)) for p in plan.runs]
    (said,) = about_gpus(replace(plan, runs=runs), LaunchConfig("local"))
    assert "50,257 is no multiple of 64" in said and "vocab=50304" in said and "adds 47" in said


def test_a_launch_is_refused_that_no_gpu_can_hold(plan_for, monkeypatch) -> None:
    """Free memory counts, of the GPUs that workers would take; "[N/A]" refuses nothing."""
    monkeypatch.setattr("scalinglab.sweeps.plan.gpus.least_bytes", lambda *_, **__: 2 * 2**30)
    two = LaunchConfig("local", workers=2, workers_a_gpu=2)
    check_gpu_memory(plan_for("2048, 81559"), LaunchConfig("local"))
    with pytest.raises(
        ConfigError,
        match=r"takes 2.15 GB or more, one sequence at a time; GPU 0 "
        r"has 2.15 GB free of 85.5: other processes",
    ) as told:
        check_gpu_memory(plan_for("2047, 81559"), LaunchConfig("local"))
    assert "CUDA_VISIBLE_DEVICES" in str(told.value)
    with pytest.raises(ConfigError, match=r"2 at once \(launch.workers_a_gpu\)"):
        check_gpu_memory(plan_for("3000, 81559"), two)
    with pytest.raises(ConfigError, match="free of 1.07; execution.recompute=true"):
        check_gpu_memory(plan_for("1024, 1024"), LaunchConfig("inline"))
    plan = plan_for("81000, 81559", "10, 81559")
    with pytest.raises(ConfigError, match="GPU 1 has"):
        check_gpu_memory(plan, LaunchConfig("local"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-0")
    check_gpu_memory(plan, LaunchConfig("local"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    check_gpu_memory(plan_for("[N/A], [N/A]"), LaunchConfig("local"))
    check_gpu_memory(replace(plan, execution=replace(plan.execution, device="cpu")), two)
    check_gpu_memory(plan, LaunchConfig("slurm"))


def test_what_a_run_takes_at_least_is_one_sequence(plan_for) -> None:
    run = plan_for("80000, 81559").runs[0].run
    plain, half = (least_bytes(run.architecture, "adamw", StepOptions(p)) for p in ("fp32", "bf16"))
    assert plain == training_bytes(run.architecture, 1)
    assert 0.4 * plain < half < plain


def test_without_nvidia_smi_nothing_is_known(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpu_memory() == {}


def test_compilers_share_the_cores(monkeypatch) -> None:
    name = "TORCHINDUCTOR_COMPILE_THREADS"
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "cores", lambda: 16)
    assert [machine.compile_threads(n)[name] for n in (1, 5, 64)] == ["16", "3", "1"]
    monkeypatch.setenv(name, "7")
    assert machine.compile_threads(4) == {name: "7"}
