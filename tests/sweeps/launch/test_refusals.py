"""What SLURM refuses is told in its words, with the key it is about and what is allowed."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.config import LaunchConfig, SlurmConfig
from scalinglab.sweeps.launch import scheduler, slurm

# As a real sbatch answers: most of its sentences name no option, one comes in two lines.
SBATCH = r"""
for word in "$@"; do case $word in
  --gpus-per-node=[5-9]|--mem=921600M)
    echo "allocation failure: Requested node configuration is not available" >&2; exit 1;;
  --nodes=9*) echo "allocation failure: Node count specification invalid" >&2; exit 1;;
  --constraint=fast) echo "allocation failure: Invalid feature specification" >&2; exit 1;;
  --partition=nope) echo "sbatch: error: invalid partition specified: nope" >&2
                    echo "allocation failure: Invalid partition name specified" >&2; exit 1;;
  --account=other) echo "sbatch: error: Invalid account" ; exit 1;;
  --some_option*|--some-option=True) exit 1;;
esac; done
"""
SINFO = r"""case $* in *%P?%l*)
echo 'gpu*|1-00:00:00|12|64|512000|gpu:h100:4(S:0-1)|h100,ib'
echo 'cpu|infinite|40|128|256000|(null)|(null)'
echo 'cpu|infinite|2|64|128000|(null)|old';; esac"""


@pytest.fixture
def cluster(fake):
    for name, body in (("sbatch", SBATCH), ("sinfo", SINFO)):
        (fake / name).write_text(f"#!/bin/bash\n{body}\n")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"gpus": 8},
            r"Requested node .* launch.slurm.gpus = 8 \(a node of the partition gpu has at "
            r"most 4 GPUs\)$",
        ),
        (
            {"gpus": 5, "partition": "cpu"},
            r"gpus = 5 \(nodes of the partition cpu have none; those of "
            r"gpu have GPUs\)$",
        ),
        (
            {"nodes": 99},
            r"Node count .* launch.slurm.nodes = 99 \(the partition gpu has 12 nodes\)$",
        ),
        (
            {"memory_gb": 900, "gpus": 1, "partition": "cpu"},
            r"configuration is not available; it is about launch.slurm.memory_gb = 900.0 \(.* 250 GB\)$",
        ),
        (
            {"constraint": "fast"},
            r"Invalid feature .*constraint = fast \(nodes .* have h100, ib\)$",
        ),
        (
            {"partition": "nope"},
            r"invalid partition specified: nope; allocation failure: Invalid part"
            r".* launch.slurm.partition = nope \(allowed are gpu, cpu\)$",
        ),
        (
            {"account": "other", "partition": "cpu"},
            r"Invalid account; .*account = other \(sacctmgr",
        ),
        (
            {"gpus": 9, "constraint": "fast"},
            r"gpus = 9 \(.*\) or .*constraint = fast|"
            r"constraint = fast \(.*\) or launch.slurm.gpus = 9 \(",
        ),
    ],
)
def test_the_reason_the_key_and_what_is_allowed(cluster, asked, message) -> None:
    config = LaunchConfig("slurm", slurm=SlurmConfig(**asked))
    with pytest.raises(ConfigError, match=message) as caught:
        slurm.check_cluster(config)
    assert str(caught.value).startswith("launch.slurm: SLURM refuses such a job: ")


def test_a_class_of_jobs_is_named(cluster) -> None:
    config = LaunchConfig("slurm", classes={"large": {"where": "N > 1", "gpus": 8}})
    with pytest.raises(ConfigError, match=r"launch.classes.large.gpus = 8 \(a node of"):
        slurm.check_cluster(config)


def test_extra_options_reach_the_trial_as_they_reach_the_job(cluster) -> None:
    """submitit writes a dash for an underscore, and no value for true."""
    slurm.check_cluster(LaunchConfig("slurm", slurm=SlurmConfig(extra={"some_option": True})))


def test_a_slurm_that_says_nothing_of_its_nodes_is_no_obstacle(cluster, fake) -> None:
    (fake / "sinfo").write_text("#!/bin/bash\necho slurm 22.05\n")
    assert scheduler.partitions() == []
    with pytest.raises(ConfigError, match=r"it is about launch.slurm.gpus = 8$"):
        slurm.check_cluster(LaunchConfig("slurm", slurm=SlurmConfig(gpus=8)))
