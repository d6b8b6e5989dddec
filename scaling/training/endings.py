"""What an exception means for an attempt, and for the worker that trained it."""

from __future__ import annotations

from scalinglab.scaling.records.claim import ClaimLost


def reason(error: BaseException) -> str:
    """How an attempt ended that an exception ended."""
    if isinstance(error, ClaimLost):
        return "lost"
    return "failed" if isinstance(error, Exception) else "interrupted"


def outcome(error: BaseException) -> str:
    """What to tell the caller; what is not an ordinary exception goes on upwards."""
    if isinstance(error, SystemExit):  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from error
    if not isinstance(error, Exception):
        raise error
    return reason(error)
