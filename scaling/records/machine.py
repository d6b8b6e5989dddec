"""The machine and the versions with which a run is trained; never part of its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

import scalinglab

PACKAGES = ("torch", "lightning", "numpy", "hydra-core", "omegaconf")


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a run depends on."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    """The version of an installed package, or "absent"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


@cache
def host() -> str:
    """This host's name."""
    return platform.node()


@cache
def processor() -> str:
    """Name of the processor in the system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def cores() -> int:
    """Processor cores that this process may use, within its quota."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except AttributeError:
        allowed = os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def compile_threads(processes: int) -> dict[str, str]:
    """Environment variables that limit ``torch.compile`` of each process to its share of the cores.

    Without them every process starts as many compilers as there are cores. Variables that a
    person has set stay.
    """
    name = "TORCHINDUCTOR_COMPILE_THREADS"
    return {name: os.environ.get(name, str(max(1, cores() // processes)))}


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The number of cores to which control groups limit this process; None without a limit.

    A container or a scheduler may show all cores of a machine but grant the time of a few. The
    limits of all groups above this process's hold.

    Parameters
    ----------
    root : Path
        The folder of ``proc`` and ``sys``.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        folder = top / group.lstrip("/")
        for place in (folder, *folder.parents):
            if place.is_relative_to(top):
                quotas.append(_group_quota(place, is_v2=not controllers))
    return min((q for q in quotas if q is not None), default=None)


def _group_quota(folder: Path, *, is_v2: bool) -> float | None:
    """The quota of one control group, of version 2 or 1."""
    names = ["cpu.max"] if is_v2 else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    try:
        quota, period = " ".join((folder / name).read_text() for name in names).split()
    except (OSError, ValueError):
        return None
    return None if quota in ("max", "-1") else int(quota) / int(period)


def gpus() -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(listed.splitlines()) if line.startswith("GPU")]


@cache
def device_name(device: str) -> str | None:
    """The maker's name of the processor, or of the first GPU that this process may use."""
    if device == "cpu":
        return processor()
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader", "-i", *gpus()[:1]]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def gpu_memory() -> dict[str, tuple[float, float]]:
    """Bytes free now, and in all, of the GPUs that this process may use and that say so,
    by name.
    """
    fields = "index,uuid,memory.free,memory.total"
    try:
        listed = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    memory = {}
    for line in listed.splitlines():
        index, uuid, *sizes = (word.strip() for word in line.split(","))
        if all(size.isdigit() for size in sizes):  # or unknown: "[N/A]"
            free, total = (float(size) * 2**20 for size in sizes)
            memory[index] = memory[uuid] = free, total
    return {name: memory[name] for name in gpus() if name in memory}


@cache
def gpu_memory_bytes() -> float:
    """Memory of the smallest GPU of this host; infinite if unknown."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        return min(float(line) for line in listed.splitlines()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):  # no GPU, or unknown: "[N/A]"
        return float("inf")


@cache
def memory_bytes() -> int:
    """Physical memory of this host."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def code_folder() -> Path:
    """The folder that contains this package: a checkout, a frozen copy or site-packages."""
    return Path(scalinglab.__file__).parents[1]


@cache
def code_commit() -> str | None:
    """The commit of the checkout this package runs from, "+" appended if it was edited."""
    folder = code_folder()
    frozen = folder / "COMMIT"  # left by scalinglab.sweeps.launch.freeze
    if frozen.exists():
        return frozen.read_text().strip() or None
    try:
        command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far."""
    import resource  # imported here, because Windows, which can read studies, does not have it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def slurm_job() -> tuple[str, int] | None:
    """The SLURM job of this process and how often it was requeued; None outside SLURM.

    An array's task is named ``<array>_<task>``: the bare number would mean its siblings as well.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    array, task = (os.environ.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    name = f"{array}_{task}" if array and task else job
    return name, int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def node() -> str:
    """The node's name in the scheduler, or else the host's."""
    return os.environ.get("SLURMD_NODENAME") or host()
