"""SLURM jobs of several nodes: the number of nodes, and the ``srun`` command for the ranks."""

from __future__ import annotations

import os

from scalinglab.scaling.errors import ConfigError


def slurm_nodes() -> int:
    """Nodes of the SLURM job that this process is in; 1 outside SLURM."""
    if "SLURM_JOB_ID" not in os.environ:
        return 1
    return int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))


def srun(processes: int, nodes: int) -> list[str]:
    """The command that starts `size` ranks on the nodes of this job.

    Raises
    ------
    ConfigError
        If the ranks do not divide evenly among the nodes.
    """
    if processes % nodes:
        raise ConfigError(
            f"execution.processes = {processes}: the job has {nodes} nodes; allowed "
            f"are multiples of {nodes}"
        )
    a_node = processes // nodes
    cores = int(os.environ.get("SLURM_CPUS_PER_TASK", os.environ.get("SLURM_CPUS_ON_NODE", "1")))
    # The cores are named, as srun does not inherit them and the job has one task a node.
    return [
        "srun",
        f"--ntasks={processes}",
        f"--nodes={nodes}",
        f"--ntasks-per-node={a_node}",
        f"--cpus-per-task={max(1, cores // a_node)}",
        "--kill-on-bad-exit=1",
        "--overlap",
    ]
