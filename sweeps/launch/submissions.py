"""What SLURM was asked for in a launch, and which of it is queued or running.

A submission is written down before sbatch is called, and again with the job's id: whenever the
launcher is killed, its jobs are found again by their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.store.launch_record import Launch

# A submission that SLURM does not know of after so long was never accepted.
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
    """One array that SLURM was asked for; `job` is None until it has answered."""

    file: Path
    name: str
    kind: str
    tasks: int
    submitted: float
    job: str | None


def name_prefix(launch: Launch) -> str:
    """How the names of a launch's jobs begin: by it they are found again, whatever was lost."""
    return f"scaling-{launch.token}-"


def reconcile(launch: Launch) -> list[tuple[Submission, scheduler.Job]] | None:
    """The launch's tasks that SLURM has queued or running; learns the ids of lost submissions.

    Returns
    -------
    list or None
        None if SLURM does not say, or does not say yet of a submission that it was asked for.
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
    """Whether it is known what became of a submission whose answer was lost; mends it if so."""
    lost = server_time(launch.outputs) - submission.submitted > UNSEEN_SECONDS
    if jobs:
        job = jobs[0].job.partition("_")[0]
        # submitit gives a job its pickle after the answer: without it the tasks cannot start.
        if list((launch.folder / "slurm").glob(f"{job}*_submitted.pkl")):
            store_submission(submission, job)
            return True
        if not lost or not scheduler.cancel([one.job for one in jobs]):
            return False
    if lost:
        submission.file.unlink()
    return lost


def read_submissions(launch: Launch) -> list[Submission]:
    """What SLURM was asked for, in order."""
    submissions = []
    for file in launch.folder.glob("submit-*.json"):
        try:
            stored = read_json(file, _SUBMISSION)
            submissions.append(known_fields(Submission, {**stored, "file": file}))
        except DamagedFile as error:
            tell(error, "its jobs are not counted")
    return sorted(submissions, key=lambda submission: submission.submitted)


def cancel_jobs(launch: Launch) -> bool:
    """Cancel all its jobs; False if SLURM could not be told."""
    queue = scheduler.jobs(name_prefix(launch))
    return queue is not None and scheduler.cancel([job.job for job in queue])


def store_submission(submission: Submission, job: str | None) -> None:
    """Write down what is submitted, and its job once SLURM has given one."""
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
