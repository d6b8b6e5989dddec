"""Whether nodes or devices of a launch can hold a run, and which devices each worker has."""

from __future__ import annotations

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import machine
from scalinglab.sweeps.config import DEFAULT_CLASS, LaunchConfig, SlurmConfig, group_of, resources

# Keys of launch.slurm.extra that ask for GPUs as well.
OTHER_GPU_REQUESTS = ("gres", "gpus", "gpus_per_task", "gpus-per-task")


def check_places(config: LaunchConfig, execution: ExecutionConfig) -> None:
    """Refuse a launch whose nodes or devices cannot hold one run.

    Raises
    ------
    ConfigError
        If processes do not divide among the nodes, or GPUs are lacking, or would stand idle.
    """
    if config.backend == "slurm":
        for name in (DEFAULT_CLASS, *config.classes):
            _check_nodes(group_of(name), resources(config, name), execution)
    elif execution.device != "cpu":
        _check_here(execution, len(machine.gpus()))


def _check_here(execution: ExecutionConfig, gpus: int) -> None:
    if not gpus:
        raise ConfigError(
            f"execution.device = {execution.device!r}: this machine shows no CUDA "
            "device; allowed is cpu"
        )
    if gpus < execution.processes:
        raise ConfigError(
            f"execution.device = {execution.device} and execution.processes = "
            f"{execution.processes}: a run takes one GPU a process; this machine shows {gpus}"
        )


def _check_nodes(where: str, slurm: SlurmConfig, execution: ExecutionConfig) -> None:
    processes = execution.processes
    if processes % slurm.nodes:
        raise ConfigError(
            f"{where}.nodes = {slurm.nodes}: a run has execution.processes = {processes}, which "
            "must be a multiple of the nodes"
        )
    if execution.device == "cpu":
        # Another program chooses its device itself.
        if slurm.gpus and not execution.command:
            raise ConfigError(
                f"{where}.gpus = {slurm.gpus}: with execution.device = cpu runs train on the CPU "
                f"and the GPUs stand idle; add execution.device=cuda, or set {where}.gpus=0 (a "
                "partition that insists on GPUs: +launch.slurm.extra.gres=gpu:1)"
            )
        return
    if any(key in slurm.extra for key in OTHER_GPU_REQUESTS):
        return
    if slurm.gpus < processes // slurm.nodes:
        raise ConfigError(
            f"{where}.gpus = {slurm.gpus}: with execution.device = {execution.device} each of the "
            f"{processes // slurm.nodes} processes on a node takes a GPU"
        )


def about_idle_gpus(config: LaunchConfig, execution: ExecutionConfig) -> list[str]:
    """Sentences about GPUs that jobs ask for and no process uses, one per class of jobs."""
    if config.backend != "slurm" or execution.command:
        return []
    sentences = []
    for name in (DEFAULT_CLASS, *config.classes):
        slurm = resources(config, name)
        gpus_used = 0 if execution.device == "cpu" else execution.processes // slurm.nodes
        if slurm.gpus > gpus_used:
            sentences.append(
                f"{group_of(name)}.gpus = {slurm.gpus}: a job trains one run, or pack, at "
                f"a time, on {gpus_used} of them; the others stand idle (execution.processes "
                f"= {execution.processes} is what a run takes)"
            )
        if not gpus_used and any(key in slurm.extra for key in OTHER_GPU_REQUESTS):
            sentences.append(
                f"{group_of(name)}.extra asks for GPUs, which stand idle: "
                "execution.device = cpu trains on the CPU; execution.device=cuda uses them"
            )
    return sentences


def worker_devices(config: LaunchConfig, execution: ExecutionConfig) -> list[str | None]:
    """The devices of each local worker: names of GPUs for CUDA_VISIBLE_DEVICES, or None for cores.

    A run of several processes has as many GPUs, or cores, to itself. GPUs that CUDA_VISIBLE_DEVICES
    hides from this process are not used.
    """
    processes = execution.processes
    if execution.device == "cpu":
        cores = machine.cores() // (execution.threads * processes)
        return [None] * (config.workers or max(1, cores))
    names = machine.gpus()
    sets = [
        ",".join(names[i : i + processes]) for i in range(0, len(names) - processes + 1, processes)
    ]
    gpus = [names_of_run for names_of_run in sets for _ in range(config.workers_a_gpu)]
    workers = config.workers or max(1, len(gpus))
    return [gpus[i % len(gpus)] if gpus else None for i in range(workers)]


def worker_count(config: LaunchConfig, execution: ExecutionConfig, packs: int) -> int:
    """Workers to start for so many packs (a run without companions is a pack of one)."""
    if config.backend == "inline":
        return 1
    if config.backend == "slurm":
        return max(1, min(config.workers or packs, packs))
    return max(1, min(len(worker_devices(config, execution)), packs))
