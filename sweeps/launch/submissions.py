"""The job arrays that a launch has submitted to SLURM, and which of their tasks are alive.

A submission is stored before sbatch is called, and again with the job's id: whenever the launcher
is killed, its jobs are found by their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.store.launch_record import Launch

# A submission that SLURM does not list after so long was never accepted.
UNSEEN_SECONDS = 60.0
_SUBMISSION: Shape = {
    "name": str,
    "kind": str,
    "tasks": int,
    "submitted": (int, float),
    "job": (str, type(None)),
}


@dataclass(frozen=True)
class Submission:
    """One job array; `job` is None until SLURM has given it an id."""

    file: Path
    name: str
    kind: str
    tasks: int
    submitted: float
    job: str | None


def name_prefix(launch: Launch) -> str:
    """Prefix of the names of a launch's jobs, by which they are found after a crash."""
    return f"scaling-{launch.token}-"


def reconcile(launch: Launch) -> list[tuple[Submission, scheduler.Job]] | None:
    """The launch's tasks that are queued or running; stores the ids of lost submissions.

    Returns
    -------
    list or None
        None if SLURM does not answer, or a submission may still be on its way into the queue.
    """
    queue = scheduler.jobs(name_prefix(launch))
    if queue is None:
        return None
    alive = []
    for submission in read_submissions(launch):
        jobs = [job for job in queue if job.name == submission.name]
        if submission.job is None and not settle_submission(launch, submission, jobs):
            return None
        alive += [(submission, job) for job in jobs if submission.file.exists()]
    return alive


def settle_submission(launch: Launch, submission: Submission, jobs: list[scheduler.Job]) -> bool:
    """Settle a submission whose answer was lost: store its job, or remove it; False if unclear."""
    lost = server_time(launch.outputs) - submission.submitted > UNSEEN_SECONDS
    if jobs:
        job = jobs[0].job.partition("_")[0]
        # submitit stores a job's pickle after sbatch answers: without it the tasks cannot start.
        if list((launch.folder / "slurm").glob(f"{job}*_submitted.pkl")):
            store_submission(submission, job)
            return True
        if not lost or not scheduler.cancel([queued.job for queued in jobs]):
            return False
    if lost:
        submission.file.unlink()
    return lost


def read_submissions(launch: Launch) -> list[Submission]:
    """The submissions of a launch, the earliest first."""
    submissions = []
    for file in launch.folder.glob("submit-*.json"):
        try:
            stored = read_json(file, _SUBMISSION)
            submissions.append(known_fields(Submission, {**stored, "file": file}))
        except DamagedFile as error:
            tell(error, "its jobs are not counted")
    return sorted(submissions, key=lambda submission: submission.submitted)


def cancel_jobs(launch: Launch) -> bool:
    """Cancel all jobs of a launch; False if SLURM does not answer."""
    queue = scheduler.jobs(name_prefix(launch))
    return queue is not None and scheduler.cancel([job.job for job in queue])


def store_submission(submission: Submission, job: str | None) -> None:
    """Store a submission, with the id of its job once SLURM has given one."""
    write_json(
        submission.file,
        {
            "name": submission.name,
            "kind": submission.kind,
            "tasks": submission.tasks,
            "submitted": submission.submitted,
            "job": job,
        },
    )
