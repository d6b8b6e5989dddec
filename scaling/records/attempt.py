"""One try at a run by one process: who makes it, how far it says it is, how it ended.

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
        As the scheduler names it.
    job : tuple or None
        The SLURM job, and how often it had been requeued.
    log : str or None
        The file that its worker writes to.
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
    """How an attempt ended, in its own words.

    Attributes
    ----------
    reason : Outcome
    ended : float
        When, by the clock of the file server.
    error, traceback : str
        Empty where there was none.
    cause : FailureClass or None
        Class of the error.
    signature : str
        Equal for equal errors.
    micro_batch : int or None
        Sequences at once that were tried.
    members : int
        Of the pack it was in; 1: alone.
    pack : str or None
        Name of that pack.
    device : str or None
        What computed.
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
        """Read an attempt's last word.

        Raises
        ------
        ValueError
            If it ended in a way that is not known.
        """
        reason, cause = Outcome(values["reason"]), values.get("class")
        if cause is not None or reason == Outcome.FAILED:  # the first versions named no class
            cause = FailureClass(cause or FailureClass.USER_ERROR)
        return known_fields(cls, {**values, "reason": reason, "cause": cause})

    @property
    def failure(self) -> FailureClass | None:
        """The class of the failure that ended it; None if it did not fail."""
        return self.cause if self.reason == Outcome.FAILED else None


@dataclass(frozen=True)
class Progress:
    """What an attempt last said of itself; None is what it did not say.

    Attributes
    ----------
    step, start, steps : int
        Where it is (None before its first report), where it began, and where it ends.
    saved : int or None
        Step at which its whole pack was last saved.
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
        """The last step that it told of; 0 if none."""
        return self.step or 0


@dataclass(frozen=True)
class Attempt:
    """One try at a run by one process.

    Attributes
    ----------
    number : int
        From 1; the fencing token.
    owner : Owner
    end : End or None
        None: it goes on, or it vanished without a word.
    """

    number: int
    owner: Owner
    end: End | None

    @property
    def failure(self) -> FailureClass | None:
        """The class of the failure that ended it; None if it did not fail."""
        return None if self.end is None else self.end.failure
