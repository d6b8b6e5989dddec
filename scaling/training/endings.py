"""The outcome of an attempt that an exception ended, and what its worker returns."""

from __future__ import annotations

from scalinglab.scaling.records.claim import ClaimLost
from scalinglab.scaling.records.state import Outcome


def reason(error: BaseException) -> Outcome:
    """The outcome of an attempt that an exception ended."""
    if isinstance(error, ClaimLost):
        return Outcome.LOST
    return Outcome.FAILED if isinstance(error, Exception) else Outcome.INTERRUPTED


def outcome(error: BaseException) -> Outcome:
    """The outcome for the caller; an exception that is not an `Exception` is raised again."""
    if isinstance(error, SystemExit):  # Lightning raises it at Ctrl-C
        raise KeyboardInterrupt from error
    if not isinstance(error, Exception):
        raise error
    return reason(error)
