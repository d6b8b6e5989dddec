"""One attempt at a run by one process: its owner, its progress, its end.

Each of its files is read here and nowhere else (``scalinglab.scaling.records.run_folder`` names
them).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalinglab.scaling.records.damage import Shape
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.processes import Process
from scalinglab.scaling.records.state import Outcome

_NUMBER = (int, float)
OWNER: Shape = {"host": str, "boot": str, "pid": int, "started": _NUMBER, "lease_seconds": _NUMBER}
END: Shape = {"reason": str, "ended": _NUMBER}
PROGRESS: Mapping[str, Any] = {
    "step": int,
    "start": int,
    "steps": int,
    "saved": int,
    "members": int,
    "pack": str,
    "seconds": _NUMBER,
    "loss": _NUMBER,
    "tokens_per_second": _NUMBER,
    "validation": dict,
}


@dataclass(frozen=True, kw_only=True)
class Owner(Process):
    """The process that made an attempt.

    Attributes
    ----------
    started : float
        When, by the clock of the file server.
    lease_seconds : float
        Without a heartbeat for so long it counts as gone.
    node : str or None
        The node's name in the scheduler.
    job : tuple or None
        The SLURM job, and how often it was requeued.
    log : str or None
        The log of its worker.
    """

    started: float
    lease_seconds: float
    node: str | None = None
    job: tuple[str, int] | None = None
    log: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Owner:
        """Read an attempt's claim."""
        owner = known_fields(cls, values)
        return owner if owner.job is None else known_fields(cls, {**values, "job": (*owner.job,)})

    @property
    def place(self) -> str:
        """Its node, else its host."""
        return self.node or self.host


@dataclass(frozen=True)
class End:
    """The end of an attempt, as it reported it.

    Attributes
    ----------
    reason : Outcome
    ended : float
        When, by the clock of the file server.
    error, traceback : str
        Empty without an error.
    cause : FailureClass or None
        Class of the error.
    signature : str
        Equal for equal errors.
    micro_batch : int or None
        The micro-batch that it used.
    members : int
        Of the pack it was in; 1: alone.
    pack : str or None
        The name of the pack.
    device : str or None
        The name of the device.
    """

    reason: Outcome
    ended: float
    error: str = ""
    traceback: str = ""
    cause: FailureClass | None = None
    signature: str = ""
    micro_batch: int | None = None
    members: int = 1
    pack: str | None = None
    device: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> End:
        """Read the end of an attempt.

        Raises
        ------
        ValueError
            If the outcome is unknown.
        """
        reason, cause = Outcome(values["reason"]), values.get("class")
        if cause is not None or reason == Outcome.FAILED:  # the first versions had no classes
            cause = FailureClass(cause or FailureClass.USER_ERROR)
        return known_fields(cls, {**values, "reason": reason, "cause": cause})

    @property
    def failure(self) -> FailureClass | None:
        """The class of the failure that ended it; None if it did not fail."""
        return self.cause if self.reason == Outcome.FAILED else None


@dataclass(frozen=True)
class Progress:
    """The last reported progress of an attempt; None for what it has not reported.

    Attributes
    ----------
    step, start, steps : int
        The present step (None before its first report), the first, and the last.
    saved : int or None
        The step of the last checkpoint of its whole pack.
    members : int
        Of its pack; 1: it is alone.
    pack : str or None
        Name of its pack.
    seconds : float
        Its share of the time in steps and validation.
    loss, tokens_per_second : float or None
    validation : mapping of int to float
        Step -> validation loss.
    """

    step: int | None = None
    start: int = 0
    steps: int | None = None
    saved: int | None = None
    members: int = 1
    pack: str | None = None
    seconds: float = 0.0
    loss: float | None = None
    tokens_per_second: float | None = None
    validation: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """Read a heartbeat."""
        validation = {int(step): loss for step, loss in values.get("validation", {}).items()}
        return known_fields(cls, {**values, "validation": validation})

    @property
    def reached(self) -> int:
        """The last reported step; 0 before the first report."""
        return self.step or 0


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run by one process.

    Attributes
    ----------
    number : int
        From 1; the fencing token.
    owner : Owner
    end : End or None
        None while it goes on, or if its process was killed.
    """

    number: int
    owner: Owner
    end: End | None

    @property
    def failure(self) -> FailureClass | None:
        """The class of the failure that ended it; None if it did not fail."""
        return None if self.end is None else self.end.failure
