"""Whether the place of a launch has what each run of the study asks for."""

from __future__ import annotations

from scaling.config import ConfigError, ExecutionConfig
from scaling.records import machine
from sweeps.launches import DEFAULT_CLASS, LaunchConfig, SlurmConfig, group_of, resources

OTHER_GPU_REQUESTS = ("gres", "gpus", "gpus_per_task", "gpus-per-task")  # of launch.slurm.extra


def check_places(config: LaunchConfig, execution: ExecutionConfig) -> None:
    """Refuse a launch whose nodes or devices cannot hold one run.

    Raises
    ------
    ConfigError
        If processes do not divide among the nodes, or GPUs are lacking.
    """
    if config.backend == "slurm":
        for name in (DEFAULT_CLASS, *config.classes):
            _check_nodes(group_of(name), resources(config, name), execution)
    elif execution.device != "cpu":
        _check_here(execution, len(machine.gpus()))


def _check_here(execution: ExecutionConfig, found: int) -> None:
    if not found:
        raise ConfigError(f"execution.device = {execution.device!r}: this machine shows no CUDA "
                          "device; allowed is cpu")
    if found < execution.processes:
        raise ConfigError(
            f"execution.device = {execution.device} and execution.processes = "
            f"{execution.processes}: a run takes one GPU a process; this machine shows {found}"
        )


def _check_nodes(where: str, slurm: SlurmConfig, execution: ExecutionConfig) -> None:
    processes = execution.processes
    if processes % slurm.nodes:
        raise ConfigError(
            f"{where}.nodes = {slurm.nodes}: a run has execution.processes = {processes}, which "
            "must be a multiple of the nodes"
        )
    if execution.device == "cpu" or any(key in slurm.extra for key in OTHER_GPU_REQUESTS):
        return
    if slurm.gpus < processes // slurm.nodes:
        raise ConfigError(
            f"{where}.gpus = {slurm.gpus}: with execution.device = {execution.device} each of the "
            f"{processes // slurm.nodes} processes on a node takes a GPU"
        )
