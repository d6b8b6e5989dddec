"""What a healthy SLURM will not do: fakes on the path that fail in the ways clusters fail."""

from __future__ import annotations

import os
import subprocess

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.sweeps.config import LaunchConfig, SlurmConfig, check_launch
from scalinglab.sweeps.launch import sbatch, scheduler, slurm, submissions
from scalinglab.sweeps.launch.remaining import LaunchLook
from scalinglab.sweeps.launch.submissions import read_submissions, reconcile
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.launch_record import new_launch, store_launch
from scalinglab.sweeps.store.stored_plan import read_plan


@pytest.fixture
def begun(study, tmp_path, fake):
    """A launch of the tiny study on the fake cluster, with its plan."""
    plan = make_plan(study())
    save_plan(plan)
    stored = read_plan(plan.outputs, "tiny")
    config = LaunchConfig("slurm", workers=5, slurm=SlurmConfig(minutes=30))
    launch = new_launch(plan.outputs, "tiny", config, stored.runs, tmp_path / "code")
    store_launch(launch)
    return launch, stored


def test_arrays_are_cut_at_the_largest_size_the_cluster_allows(begun) -> None:
    launch, plan = begun
    ready = 2  # the other three wait for checkpoints of these
    assert slurm.top_up(LaunchLook(launch, plan)) == 5 or ready
    sizes = [s.tasks for s in read_submissions(launch)]
    assert max(sizes) <= 3 and sum(sizes) == slurm.top_up(LaunchLook(launch, plan))
    assert all(s.job is not None for s in read_submissions(launch))


def test_the_pickle_holds_strings_only(begun) -> None:
    launch, plan = begun
    slurm.top_up(LaunchLook(launch, plan))
    pickles = list((launch.folder / "slurm").glob("*submitted.pkl"))
    assert pickles
    for path in pickles:
        content = path.read_bytes()
        assert (
            b"scalinglab.sweeps.launch.worker" in content and str(launch.folder).encode() in content
        )
        assert len(content) < 2000


def test_a_second_look_submits_nothing(begun) -> None:
    launch, plan = begun
    count = slurm.top_up(LaunchLook(launch, plan))
    assert slurm.top_up(LaunchLook(launch, plan)) == count
    assert len(read_submissions(launch)) == len({s.name for s in read_submissions(launch)})


@pytest.mark.parametrize("failure", ["timeout", "truncate"])
def test_a_submission_that_was_accepted_though_it_seemed_to_fail(
    begun, fake, failure, monkeypatch
) -> None:
    """Its tasks never got their pickles: once that is sure they are cancelled and replaced."""
    launch, plan = begun
    (fake / failure).touch()
    assert slurm.top_up(LaunchLook(launch, plan)) is None  # it is not known yet
    (fake / failure).unlink()
    doomed = (fake / "queue").read_text()
    assert slurm.top_up(LaunchLook(launch, plan)) is None and (fake / "queue").read_text() == doomed
    monkeypatch.setattr(submissions, "UNSEEN_SECONDS", -1.0)
    count = slurm.top_up(LaunchLook(launch, plan))
    assert count and not set(doomed.splitlines()) & set((fake / "queue").read_text().splitlines())
    assert all(s.job is not None for s in read_submissions(launch))


def test_a_submission_that_never_arrived_is_made_again(begun, fake, monkeypatch) -> None:
    launch, plan = begun
    (fake / "timeout").touch()
    slurm.top_up(LaunchLook(launch, plan))
    (fake / "timeout").unlink()
    (fake / "queue").unlink()
    assert slurm.top_up(LaunchLook(launch, plan)) is None  # it may still arrive
    monkeypatch.setattr(submissions, "UNSEEN_SECONDS", -1.0)
    assert slurm.top_up(LaunchLook(launch, plan)) > 0


def test_a_launcher_that_died_between_sbatch_and_its_answer(begun) -> None:
    launch, plan = begun
    count = slurm.top_up(LaunchLook(launch, plan))
    for submission in read_submissions(launch):  # as it was before the answer came
        write_json(submission.file, read_json(submission.file) | {"job": None})
    assert slurm.top_up(LaunchLook(launch, plan)) == count
    assert all(s.job is not None for s in read_submissions(launch))


def test_a_controller_that_is_down_changes_nothing(begun, fake) -> None:
    launch, plan = begun
    (fake / "down").touch()
    assert slurm.top_up(LaunchLook(launch, plan)) is None and not read_submissions(launch)
    (fake / "down").unlink()
    count = slurm.top_up(LaunchLook(launch, plan))
    (fake / "down").touch()
    assert slurm.top_up(LaunchLook(launch, plan)) is None and reconcile(launch) is None
    (fake / "down").unlink()
    assert slurm.top_up(LaunchLook(launch, plan)) == count


def test_a_refusal_is_told_and_leaves_no_trace(begun, fake) -> None:
    launch, plan = begun
    (fake / "refuse").touch()
    with pytest.raises(ConfigError, match="SLURM refused the job: .*invalid account"):
        slurm.top_up(LaunchLook(launch, plan))
    assert not read_submissions(launch)


def test_a_limit_on_submissions_is_asked_again(begun, fake) -> None:
    launch, plan = begun
    count = slurm.top_up(LaunchLook(launch, plan))
    queue = (fake / "queue").read_text().splitlines()
    (fake / "queue").write_text(queue[0] + "\n")  # the others have ended
    (fake / "refuse").touch()
    assert slurm.top_up(LaunchLook(launch, plan)) == 1
    (fake / "refuse").unlink()
    assert slurm.top_up(LaunchLook(launch, plan)) == count


def test_as_long_as_the_canary_is_silent_nothing_else_is_submitted(begun) -> None:
    from dataclasses import replace

    launch, plan = begun
    careful = replace(launch, config=replace(launch.config, canary=1))
    assert slurm.top_up(LaunchLook(careful, plan)) == 1
    claim = Claim.acquire(plan.runs[0].folder, 60.0)
    claim.report({"start": 0, "step": 5})
    assert slurm.top_up(LaunchLook(careful, plan)) > 1
    claim.release("interrupted")


def test_no_slurm_is_told_before_anything(fake) -> None:
    (fake / "down").touch()
    with pytest.raises(ConfigError, match="SLURM does not answer here"):
        slurm.check_cluster(LaunchConfig("slurm"))


def test_a_state_that_we_do_not_know_counts_as_alive(begun, fake) -> None:
    launch, plan = begun
    count = slurm.top_up(LaunchLook(launch, plan))
    queue = (fake / "queue").read_text()
    (fake / "queue").write_text(queue.replace("PENDING", "STAGE_OUT|"))
    assert len(reconcile(launch)) in (count, 0)
    (fake / "queue").write_text(queue.replace("PENDING", "STAGE_OUT"))
    assert slurm.top_up(LaunchLook(launch, plan)) == count


def test_short_runs_share_tasks(begun) -> None:
    launch, plan = begun
    from dataclasses import replace

    free = replace(launch, config=replace(launch.config, workers=None))
    assert slurm.tasks_needed(free, "default", plan.runs) == 5  # nobody knows how long they take
    minutes = [replace(r, seconds=60.0) for r in plan.runs]
    assert slurm.tasks_needed(free, "default", minutes) == 1
    hours = [replace(r, seconds=3600.0) for r in plan.runs]
    assert slurm.tasks_needed(free, "default", hours) == 5
    assert slurm.tasks_needed(launch, "default", []) == 0


def test_a_pack_is_one_task(begun) -> None:
    from dataclasses import replace

    launch, plan = begun
    runs = [replace(plan.runs[0], kind="k", pack=4) for _ in range(16)]
    packed = replace(launch, config=replace(launch.config, workers=64))
    assert slurm.tasks_needed(packed, "default", runs) == 4
    off = replace(launch, config=replace(launch.config, workers=64, pack="off"))
    assert slurm.tasks_needed(off, "default", runs) == 16
    all_together = replace(launch, config=replace(launch.config, workers=64, pack=16))
    assert slurm.tasks_needed(all_together, "default", runs) == 1
    # Without a number of workers the limit of a task counts: it holds one pack of 24 minutes.
    free = replace(launch, config=replace(launch.config, workers=None))
    shares = [replace(r, seconds=360.0) for r in runs]
    assert slurm.tasks_needed(free, "default", shares) == 4
    short = [replace(r, seconds=15.0) for r in runs]  # four minutes in all
    assert slurm.tasks_needed(free, "default", short) == 1


def test_a_token_bucket_lets_a_burst_through_and_then_waits(monkeypatch) -> None:
    now, slept = [0.0], []
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(scheduler.time, "sleep", sleep)
    bucket = scheduler.TokenBucket(burst=3, seconds=2.0)
    for _ in range(5):
        bucket.take()
    assert slept == [2.0, 2.0]


@pytest.mark.parametrize(
    "name",
    [
        "$(touch x)",
        "`touch x`",
        "a b",
        "a'b\"c",
        ";touch x",
        "*",
        "ü",
        "$HOME",
        "a\\",
        "&touch x",
        "!!",
        "#",
    ],
)
def test_folders_are_names_in_the_script_of_a_job(tmp_path, fake, monkeypatch, name) -> None:
    """The script is run by bash, with a stand-in for Python that tells what it was given."""
    home = tmp_path / name
    python = home / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/bash\nprintf "%s\\0" "$@" "$SCALING_LOG" "$PYTHONPATH"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sbatch.sys, "executable", str(python))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (fake / "sbatch").write_text(f'#!/bin/bash\ncp "$1" {fake}/script\necho job 1\n')
    launch = new_launch(home / "outputs", "tiny", LaunchConfig("slurm"), [], home / "code")
    slurm._submit(launch, "default", 1, 1, [])

    here = tmp_path / "here"
    here.mkdir()
    environment = os.environ | {"SLURM_JOB_ID": "7"}
    told = subprocess.run(
        ["bash", str(fake / "script")],
        cwd=here,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    folder = launch.folder / "slurm"
    assert told[-4:-1] == [str(folder), f"{folder}/7_0_log.out", str(home / "code")]
    assert not list(here.iterdir())


def test_what_no_script_can_hold_is_refused(study, tmp_path, fake) -> None:
    for name, why in (("a\nb", "line break"), ("a:b", "':'")):
        with pytest.raises(ConfigError, match=f"outputs = .*{why}"):
            make_plan(study(f"outputs='{tmp_path}/{name}'"))
    launch = new_launch(tmp_path / "%j", "tiny", LaunchConfig("slurm"), [], tmp_path / "code")
    with pytest.raises(ConfigError, match="has a '%'"):
        slurm._submit(launch, "default", 1, 1, [])
    with pytest.raises(ConfigError, match="launch.slurm.account = .*line break"):
        check_launch(LaunchConfig("slurm", slurm=SlurmConfig(account="a\ntouch x")))
    with pytest.raises(ConfigError, match="launch.slurm.comment"):
        check_launch(LaunchConfig("slurm", slurm=SlurmConfig(extra={"comment": "a\rb"})))
