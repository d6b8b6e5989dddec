"""Ranks of a SLURM job of several nodes."""

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.training.srun import srun


def test_ranks_divide_among_nodes(monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    assert srun(8, 2)[1:5] == [
        "--ntasks=8",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--cpus-per-task=2",
    ]
    with pytest.raises(ConfigError, match="execution.processes = 3: the job has 2 nodes; allowed"):
        srun(3, 2)
