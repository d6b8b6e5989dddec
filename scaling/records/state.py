"""The words for what became of a run and of its attempts: they stand in files, tables and JSON."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """State of a run, derived from its folder; in the order in which states are shown.

    Only a plan can know that a run is waiting, for a checkpoint of another run.
    """

    DONE = "done"
    DIVERGED = "diverged"
    RUNNING = "running"
    STOPPED = "stopped"  # by a person's rule, before its end
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    WAITING = "waiting"  # for a checkpoint of another run, which will come
    PLANNED = "planned"
    DAMAGED = "damaged"  # its files do not say what it is or whether it has ended


FINISHED = (State.DONE, State.DIVERGED)  # it has a record
ENDED = (*FINISHED, State.STOPPED, State.DAMAGED)  # nothing more is trained
TO_BEGIN = (State.PLANNED, State.INTERRUPTED)  # a launch may begin it
CENSORED = (State.DIVERGED, State.STOPPED)  # it has ended without a final loss


class Outcome(StrEnum):
    """The end of an attempt at a run, which a trainer returns to its caller."""

    DONE = "done"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"  # by a person
    FAILED = "failed"
    LOST = "lost"  # another attempt has the run
