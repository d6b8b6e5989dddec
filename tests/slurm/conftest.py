"""A real SLURM, started by ``up.sh`` on this machine; these tests have the mark `slurm`."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalinglab.scaling.records.run_folder import RunFolder

HERE = Path(__file__).parent


class Cluster:
    """The cluster as a test uses it.

    `runs` are overrides of the tiny study that make nine runs of seconds each, with checkpoints
    twice a second and leases that end soon; `jobs` those that bring it onto the cluster.
    """

    runs = [
        "study.blocks.ladder.grid.tokens=[38400,76800]",
        "study.blocks.ladder.grid.model.width=[8,16]",
        "+study.blocks.ladder.grid.seed=[0,1]",
        "study.blocks.curves.grid.tokens=[38400]",
        "data.max_epochs=10",
        "execution.checkpoint_seconds=0.5",
        "execution.lease_seconds=12",
    ]
    jobs = [
        "launch=slurm",
        "launch.workers=3",
        "launch.poll_seconds=1",
        "launch.idle_seconds=20",
        "launch.slurm.minutes=30",
        "launch.slurm.signal_seconds=20",
        "launch.pack=off",  # curves are compared bit for bit with those of runs alone
    ]

    def ask(self, *command: str) -> str:
        """What one of SLURM's commands prints."""
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def running(self) -> list[str]:
        """Tasks that run now."""
        return self.ask("squeue", "--me", "-r", "-h", "-t", "R", "-o", "%i").split()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the tool in the current folder."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "scalinglab.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        )

    def run(self, *arguments: str, seconds: float = 300) -> tuple[int, str]:
        """Run the tool to its end: exit code and what it printed."""
        process = self.start(*arguments)
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, out

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait until something holds; fail with its name if it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"after {seconds} s still not: {what}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def _daemons() -> Iterator[None]:
    started = subprocess.run([HERE / "up.sh"], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    folder = Path(os.environ.get("SLURM_TEST_DIR", f"/tmp/scaling-slurm-{os.getuid()}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield
    subprocess.run([HERE / "down.sh"], check=True)


@pytest.fixture
def cluster(_daemons) -> Iterator[Cluster]:
    """A cluster whose queue is empty and whose nodes are up, before and after a test."""
    found = Cluster()
    yield found
    found.ask("scancel", "--me")
    for node in found.ask("sinfo", "-h", "-N", "-t", "down,drain", "-o", "%N").split():
        found.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
    found.wait_for(lambda: not found.ask("squeue", "--me", "-h"), 60, "the queue is empty")


@pytest.fixture(scope="session")
def curves() -> Callable[[Path], dict[str, bytes]]:
    """run_id -> uncompressed curve of every finished run below an outputs folder."""
    return lambda outputs: {
        d.parent.name: gzip.decompress(RunFolder(d.parent).curve_file().read_bytes())
        for d in outputs.glob("runs/*/DONE")
    }
