"""Failures of a rank: an error, a kill, or an end without a reason."""

from __future__ import annotations

from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.training.rank_messages import RankFailure


class RankFailed(Exception):
    """A rank ended with an error, which it classified (`scalinglab.scaling.records.failures`).

    Attributes
    ----------
    failure_class : FailureClass
    failure_signature : str
    facts : dict
        Facts for the next attempt, such as the micro-batch.
    """

    def __init__(self, text: str, failure_class: FailureClass, failure_signature: str) -> None:
        super().__init__(text)
        self.failure_class = failure_class
        self.failure_signature = failure_signature
        self.facts: dict[str, int] = {}


class RankDied(Exception):
    """A rank was killed, which is no error of the run: the attempt counts as interrupted."""


def failed(failure: RankFailure, size: int) -> RankFailed:
    """The error of a rank that reported its failure, with its traceback as a note."""
    error = RankFailed(
        f"rank {failure.rank} of {size}: {failure.error}", failure.kind, failure.signature
    )
    error.add_note(failure.trace)
    if failure.micro_batch is not None:
        error.facts["micro_batch"] = failure.micro_batch
    return error


def silent_end(process: str, code: int | None) -> RankFailed:
    """The error of a process that ended without a report."""
    return RankFailed(
        f"{process} ended with the exit code {code} and said no more than what stands in "
        "the worker's log",
        FailureClass.USER_ERROR,
        f"rank-{code}",
    )
