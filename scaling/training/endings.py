"""What an exception means for an attempt, and for the worker that trained it."""

from __future__ import annotations

from scalinglab.scaling.records.claim import ClaimLost
from scalinglab.scaling.records.state import Outcome


def reason(error: BaseException) -> Outcome:
    """How an attempt ended that an exception ended."""
    if isinstance(error, ClaimLost):
        return Outcome.LOST
    return Outcome.FAILED if isinstance(error, Exception) else Outcome.INTERRUPTED


def outcome(error: BaseException) -> Outcome:
    """What to tell the caller; what is not an ordinary exception goes on upwards."""
    if isinstance(error, SystemExit):  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from error
    if not isinstance(error, Exception):
        raise error
    return reason(error)
