"""The ranks of a SLURM job of several nodes: how many nodes it has,
and the ``srun`` that starts them.
"""

from __future__ import annotations

import os

from scalinglab.scaling.errors import ConfigError


def slurm_nodes() -> int:
    """Nodes of the SLURM job that this process is in; 1 outside SLURM."""
    if "SLURM_JOB_ID" not in os.environ:
        return 1
    return int(os.environ.get("SLURM_JOB_NUM_NODES", "1"))


def srun(processes: int, nodes: int) -> list[str]:
    """The line that starts so many ranks on the nodes of this job.

    Raises
    ------
    ConfigError
        If they do not divide among the nodes.
    """
    if processes % nodes:
        raise ConfigError(
            f"execution.processes = {processes}: the job has {nodes} nodes; allowed "
            f"are multiples of {nodes}"
        )
    a_node = processes // nodes
    cores = int(os.environ.get("SLURM_CPUS_PER_TASK", os.environ.get("SLURM_CPUS_ON_NODE", "1")))
    # Cores by name: srun no longer inherits them, and the job counts them for its one task a node.
    return [
        "srun",
        f"--ntasks={processes}",
        f"--nodes={nodes}",
        f"--ntasks-per-node={a_node}",
        f"--cpus-per-task={max(1, cores // a_node)}",
        "--kill-on-bad-exit=1",
        "--overlap",
    ]
