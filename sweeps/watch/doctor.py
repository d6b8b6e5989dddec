"""Checks of this machine and its cluster: whatever a study depends on, before it starts."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.extras import EXTRAS, install_command
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import create_exclusive, server_time
from scalinglab.sweeps.launch import scheduler

LEAST_FREE_GB = 5.0
LARGEST_SKEW_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One check: its subject, its verdict ("ok", "warning" or "wrong"), and what was seen."""

    what: str
    verdict: str
    seen: str


def examine(outputs: Path) -> list[Finding]:
    """Check Python, packages, devices, the file system of `outputs`, and SLURM."""
    return [*_software(), *_hardware(), *_files(outputs), *_slurm()]


def _software() -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    findings = [Finding("Python", "ok" if sys.version_info < (3, 14) else "warning", version)]
    findings.append(Finding("numpy", "ok", machine.version("numpy")))
    for package, extra in EXTRAS.values():
        number = machine.version(package)
        if number == "absent":
            findings.append(Finding(package, "warning", f"absent: {install_command(extra)}"))
        else:
            findings.append(Finding(package, "ok", number))
    return findings


def _hardware() -> list[Finding]:
    gpus = machine.gpus()
    devices = f"{len(gpus)}: {', '.join(gpus)}" if gpus else "none here; execution.device=cpu"
    return [
        Finding("processor cores", "ok", f"{machine.cores()} of {machine.processor()}"),
        Finding("GPUs", "ok", devices),
    ]


def _files(outputs: Path) -> list[Finding]:
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        probe = outputs / f".doctor.{uuid.uuid4().hex[:8]}"
        probe.mkdir()
    except OSError as error:
        return [Finding("outputs", "wrong", f"{outputs}: {error.strerror}")]
    try:
        return [*_claims(probe), *_space(outputs)]
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def _claims(probe: Path) -> list[Finding]:
    """Whether a claim has one winner here, and whose clock stamps files."""
    is_first, is_second = (create_exclusive(probe / "claim", f"{i}\n") for i in (1, 2))
    target = probe / "link"
    try:
        os.link(probe / "claim", target)
        links = "hard links"
    except OSError:
        links = "no hard links: folders decide instead"
    skew = server_time(probe) - time.time()
    late = abs(skew) > LARGEST_SKEW_SECONDS
    return [
        Finding("claims", "ok" if is_first and not is_second else "wrong", links),
        Finding(
            "file server's clock",
            "warning" if late else "ok",
            f"{skew:+.1f} s from this host's; leases go by the file server's",
        ),
    ]


def _space(outputs: Path) -> list[Finding]:
    free = shutil.disk_usage(outputs).free / 1e9
    return [Finding("free disk", "ok" if free > LEAST_FREE_GB else "warning", f"{free:.0f} GB")]


def _slurm() -> list[Finding]:
    version = scheduler.version()
    if version is None:
        return [Finding("SLURM", "ok", "does not answer here; launch=local and inline need none")]
    requeue = scheduler.setting("JobRequeue") == "1"
    signal = "preempt_send_user_signal" in (scheduler.setting("SlurmctldParameters") or "")
    return [
        Finding("SLURM", "ok", version),
        Finding("MaxArraySize", "ok", str(scheduler.max_array_size())),
        Finding(
            "JobRequeue",
            "ok" if requeue else "warning",
            "jobs go back into the queue"
            if requeue
            else "off: a job that ends early is replaced only while a launcher watches",
        ),
        Finding("PreemptMode", "ok", scheduler.setting("PreemptMode") or "not said"),
        Finding(
            "warning before preemption",
            "ok",
            "the user's signal"
            if signal
            else "SIGTERM only, if the partition has a GraceTime; else the last checkpoint counts",
        ),
        Finding("sacct", "ok", "is not used"),
        *(
            Finding(
                f"partition {p.name}",
                "ok",
                f"{p.nodes} nodes of {p.cpus} cores, {p.memory_mb / 1024:.4g} GB, {p.gpus} GPUs"
                f"{f', {p.features}' * bool(p.features)}; limit {p.limit}"
                f"{', the default' * p.is_default}",
            )
            for p in scheduler.partitions()
        ),
    ]
