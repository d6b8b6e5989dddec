"""Two processes on one batch give the curve of one; whatever dies, nothing hangs or lives on."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from scalinglab.scaling.records.run_folder import RunFolder

COLUMNS = ["loss", "grad_norm", "validation_loss"]
LONG = {"tokens": 64 * 800, "data.max_epochs": 20.0, "optimizer.lr": 1e-3}


def same_curve(one: RunFolder, other: RunFolder) -> None:
    pd.testing.assert_frame_equal(
        pd.read_csv(one.curve_file())[COLUMNS], pd.read_csv(other.curve_file())[COLUMNS], rtol=1e-3
    )


def children(process: int | str = "self") -> Iterator[tuple[int, int]]:
    """(rank, number) of the ranks that are children of a process."""
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                values = Path(f"/proc/{child}/environ").read_text().split("\0")
                line = Path(f"/proc/{child}/cmdline").read_text()
            except OSError:
                continue
            rank = [v.removeprefix("RANK=") for v in values if v.startswith("RANK=")]
            if "scalinglab.scaling.engine.trainer.rank_main" in line and rank:
                yield int(rank[0]), int(child)


def stop_at(folder: RunFolder, step: int) -> Callable[[], bool]:
    return lambda: folder.progress(folder.latest_attempt().number).reached >= step


def at_step(folder: RunFolder, attempt: int, step: int, act: Callable[[], object]) -> None:
    """Do something, in a thread, as soon as an attempt has got so far."""

    def wait() -> None:
        while folder.progress(attempt).reached < step:
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


@pytest.mark.long
def test_two_ranks_train_the_runs_of_one_process(make_run, elsewhere, run_with_ranks):
    """A pack, a batch that does not divide, micro-batches; a member that diverges."""
    changes = {"batch": 5, "tokens": 80 * 40, "schedule.warmup_tokens": 320}
    folders = [make_run(changes), make_run(changes | {"seed": 1, "optimizer.lr": 1e13})]
    assert run_with_ranks(*folders, micro_batch=2) == "done"
    assert [f.state() for f in folders] == ["done", "diverged"]
    same_curve(folders[0], elsewhere(changes))
    record = folders[0].record()
    assert record.machine.processes == 2 and record.machine.micro_batch == 2
    assert list(children()) == []


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(
    make_run, elsewhere, run_with_ranks, train_run
):
    """Two ranks, then one process, then two: a checkpoint does not know who wrote it."""
    folder = make_run(LONG)
    assert run_with_ranks(folder, should_stop=stop_at(folder, 1)) == "interrupted"
    assert train_run(folder, should_stop=lambda: True) == "interrupted"
    assert run_with_ranks(folder) == "done"
    assert folder.record().started_at_step > 1 and folder.record().attempt == 3
    same_curve(folder, elsewhere(LONG))


def kill_rank(rank: int) -> None:
    os.kill(dict(children())[rank], signal.SIGKILL)


@pytest.mark.slow
def test_killed_ranks_take_the_others_along_and_the_run_goes_on_to_the_same_bits(
    make_run, make_apart, run_with_ranks, curve_of
):
    undisturbed = make_apart(LONG)
    assert run_with_ranks(undisturbed) == "done"
    folder = make_run(LONG)
    for attempt, victim in enumerate([1, 0], 1):
        step = 1 + folder.progress(attempt - 1).reached
        at_step(folder, attempt, step, functools.partial(kill_rank, victim))
        assert run_with_ranks(folder, checkpoint_seconds=1e-6) == "interrupted"
        assert list(children()) == []
        error = folder.latest_attempt().end.error
        assert f"rank {victim} of 2 was killed by SIGKILL" in error
        assert folder.state() == "interrupted"
    assert run_with_ranks(folder) == "done"
    assert folder.record().started_at_step > 1
    assert curve_of(folder) == curve_of(undisturbed)


WORKER = """
import sys
from pathlib import Path
from scalinglab.scaling.training import ranks
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.launch.stop_flag import StopFlag
stop = StopFlag()
stop.install()
claim = Claim.acquire(RunFolder(Path(sys.argv[1])), 60.0)
print(ranks.train([claim], {}, ExecutionConfig(processes=2), stop))
"""


@pytest.fixture
def worker() -> Iterator[Callable[[RunFolder], subprocess.Popen[str]]]:
    """A process that trains a run by ranks, as a worker does."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: RunFolder) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
        command = [sys.executable, "-c", WORKER, str(folder.path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_sigterm_saves_and_a_killed_worker_leaves_no_rank(make_run, elsewhere, worker):
    """SIGTERM to the ranks themselves, as SLURM sends it to every task, changes nothing."""
    folder = make_run(LONG)
    process = worker(folder)
    wait_until(stop_at_first(folder, 1))
    own = list(children(process.pid))
    assert len(own) == 2
    for _, rank in own:
        os.kill(rank, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=600)[0].strip() == "interrupted"
    assert folder.state() == "interrupted"
    saved = folder.progress(1).step
    again = worker(folder)
    wait_until(stop_at_first(folder, 2))
    own = list(children(again.pid))
    again.kill()
    wait_until(
        lambda: (
            not any(
                Path(f"/proc/{rank}/cmdline").exists() and Path(f"/proc/{rank}/cmdline").read_text()
                for _, rank in own
            )
        )
    )
    assert folder.state() == "interrupted"  # at once: its process is gone
    last = worker(folder)
    assert last.communicate(timeout=600)[0].strip() == "done"
    assert folder.record().started_at_step >= saved > 0
    same_curve(folder, elsewhere(LONG))


def stop_at_first(folder: RunFolder, attempt: int) -> Callable[[], bool]:
    return lambda: folder.progress(attempt).reached >= 1


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Rank 1's device is too small for more than one sequence.
SMALL_DEVICE = """
import os
if os.environ.get("RANK") == "1":
    import torch
    from scalinglab.scaling.engine.steps.eager import EagerEngine
    losses = EagerEngine._losses
    def limited(self, tokens_kBT):
        if torch.is_grad_enabled() and tokens_kBT.shape[1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return losses(self, tokens_kBT)
    EagerEngine._losses = limited
"""


@pytest.mark.slow
def test_a_rank_without_memory_ends_all_and_the_next_attempt_takes_half(
    make_run, elsewhere, run_with_ranks, tmp_path, monkeypatch
):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SMALL_DEVICE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    folder = make_run()
    assert run_with_ranks(folder) == "failed"
    end = folder.latest_attempt().end
    assert end.error.startswith("RankFailed: rank 1 of 2: OutOfMemoryError: CUDA out of memory")
    assert "in limited" in end.traceback and end.cause == "gpu_oom"
    assert end.micro_batch == 2
    assert run_with_ranks(folder) == "done"
    assert folder.record().machine.micro_batch == 1
    same_curve(folder, elsewhere())


@pytest.mark.slow
def test_a_run_that_was_taken_over_is_given_up(make_run, run_with_ranks):
    folder = make_run(LONG)
    at_step(
        folder,
        1,
        1,
        lambda: folder.attempt_file(2, "json").write_text(
            folder.attempt_file(1, "json").read_text()
        ),
    )
    assert run_with_ranks(folder) == "lost"
    assert json.loads(folder.attempt_file(1, "end").read_text())["reason"] == "lost"
    assert folder.done() is None


# ---------------------------------------------------------------------- on several nodes

SRUN = """#!{python}
import os, subprocess, sys
options = dict(a.lstrip("-").split("=") for a in sys.argv[1:] if a.startswith("--") and "=" in a)
program = [a for a in sys.argv[1:] if not a.startswith("--")]
nodes, tasks = int(options["nodes"]), int(options["ntasks"])
a_node = int(options["ntasks-per-node"])
started = [subprocess.Popen(program, env=os.environ | {{
    "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i % a_node), "SLURM_NODEID": str(i // a_node),
    "SLURM_NTASKS": str(tasks), "SLURM_NNODES": str(nodes), "SLURM_NTASKS_PER_NODE": str(a_node),
}}) for i in range(tasks)]
sys.exit(max(abs(p.wait()) for p in started))
"""


@pytest.mark.slow
def test_in_a_job_of_several_nodes_the_ranks_are_tasks_of_srun(
    make_run, elsewhere, run_with_ranks, tmp_path, monkeypatch
):
    """An srun that starts its tasks here, with what the real one tells them."""
    (tmp_path / "srun").write_text(SRUN.format(python=sys.executable))
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in {"JOB_ID": "7", "JOB_NUM_NODES": "2", "CPUS_PER_TASK": "8"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURMD_NODENAME", "127.0.0.1")
    folder = make_run()
    assert run_with_ranks(folder) == "done"
    same_curve(folder, elsewhere())
