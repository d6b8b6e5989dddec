"""A job of several nodes trains one run by the tasks of an srun that the worker starts itself."""

from __future__ import annotations

import pytest

from scalinglab.scaling.records.run_folder import RunFolder

pytestmark = pytest.mark.slurm


def test_a_job_of_two_nodes_trains_a_run_by_four_ranks(cluster, study, tmp_path) -> None:
    study()
    code, out = cluster.run(
        "launch",
        "study=tiny",
        *cluster.jobs,
        "launch.workers=1",
        "launch.slurm.nodes=2",
        "launch.slurm.cpus=2",
        "execution.processes=4",
        "~study.blocks.curves",
        "study.blocks.ladder.grid.model.width=[8]",
        "study.blocks.ladder.grid.tokens=[2560]",
    )
    assert code == 0, out
    (folder,) = (RunFolder(p) for p in (tmp_path / "outputs" / "runs").iterdir())
    record = folder.record()
    assert record.status == "done" and record.attempt == 1
    assert record.machine.processes == 4
