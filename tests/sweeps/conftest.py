"""What tests of several parts of a sweep need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalinglab.sweeps.launch import sbatch, scheduler
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.plan import Plan
from scalinglab.sweeps.plan.save import save_plan

LONG = [
    "study.blocks.ladder.grid.tokens=[25600]",
    "study.blocks.ladder.grid.model.width=[8,16]",
    "~study.blocks.curves",
    "data.max_epochs=10",
    "execution.checkpoint_seconds=1000",
]


@pytest.fixture
def plan(study) -> Plan:
    """The stored plan of two runs of some seconds, long enough to be met while they train."""
    plan = make_plan(study(*LONG))
    save_plan(plan)
    return plan


FAKES = {
    # A queue is a file of lines "id|state|reason|node|name"; "down" makes everything fail.
    "squeue": "[ ! -e down ] || exit 1\ncat queue 2>/dev/null || true",
    "sinfo": '[ ! -e down ] || exit 1\necho "slurm 22.05"',
    "scontrol": '[ ! -e down ] || exit 1\n[ "$1" != show ] || echo "MaxArraySize = 3"',
    "scancel": 'for id in "$@"; do sed -i "/^$id|/d" queue; done',
    "srun": "true",
    "sbatch": """
[ "$1" != --test-only ] || exit 0
name=$(grep -o 'job-name=.*' "$1" | cut -d= -f2)
last=$(grep -o 'array=0-[0-9]*' "$1" | cut -d- -f2)
number=$(( $(cat count 2>/dev/null || echo 100) + 1 )); echo $number > count
[ ! -e refuse ] || { echo "sbatch: error: invalid account" >&2; exit 1; }
if [ -z "$last" ]; then echo "$number|PENDING|Priority||$name" >> queue
else for i in $(seq 0 "$last"); do echo "${number}_$i|PENDING|Priority||$name" >> queue; done; fi
[ ! -e timeout ] || { echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1; }
[ ! -e truncate ] || { echo "Submitted batch jo"; exit 0; }
echo "Submitted batch job $number"
""",
}


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Path:
    """A folder with the fakes and their state; files made in it change what they do."""
    folder = tmp_path / "fake"
    folder.mkdir()
    for name, body in FAKES.items():
        path = folder / name
        path.write_text(
            f"#!/bin/bash\ncd {folder}\n{body}\n".replace('"$1" | cut', '"$given" | cut').replace(
                "cd ", 'given=$(readlink -f "$1")\ncd ', 1
            )
        )
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sbatch, "_calls", scheduler.TokenBucket(1000, 1.0))
    return folder
