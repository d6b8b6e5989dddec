"""Classes of failures, which decide about the next attempt.

Each class has its own rule for retries (``scalinglab.sweeps.launch.retry``). Divergence is not a
failure: a diverged run is a result.

    gpu_oom     the device ran out of memory      -> half the pack; alone, half the micro-batch
    host_oom    the host ran out of memory        -> half the pack; alone, once more, then a person
    infra       file system, network, device set-up -> wait, then again
    user_error  anything else: the code or the configuration is wrong, and would be again
"""

from __future__ import annotations

import errno
import hashlib
import traceback
from enum import StrEnum


class FailureClass(StrEnum):
    """The cause of a failed attempt."""

    GPU_OOM = "gpu_oom"
    HOST_OOM = "host_oom"
    INFRA = "infra"
    USER_ERROR = "user_error"


OUT_OF_MEMORY = (FailureClass.GPU_OOM, FailureClass.HOST_OOM)

# A stale handle, an input/output error, a full disk: errors of the machine, not of the run.
_PASSING = {
    errno.ESTALE,
    errno.EIO,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.EBUSY,
    errno.EREMOTEIO,
    errno.ENOTCONN,
    errno.EHOSTUNREACH,
}
# CUDA's own words, its allocator's, cuBLAS's.
_DEVICE_FULL = ("CUDA out of memory", "CUDA error: out of memory", "ALLOC_FAILED")
_DEVICE_SETUP = (
    "CUDA driver",
    "no CUDA-capable device",
    "CUDA initialization",
    "uncorrectable ECC",
    "device-side assert",
    "NCCL",
    "Connection refused",
    "Connection reset",
    "busy or unavailable",
)


def classify(error: BaseException) -> FailureClass:
    """The class of an error.

    Recognised by name and text, so that no device library is needed to look at an exception.
    """
    if (reported := getattr(error, "failure_class", None)) is not None:  # by another process
        return FailureClass(reported)
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or any(part in text for part in _DEVICE_FULL):
        return FailureClass.GPU_OOM
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return FailureClass.HOST_OOM
    if isinstance(error, ConnectionError | TimeoutError):
        return FailureClass.INFRA
    if isinstance(error, OSError) and error.errno in _PASSING:
        return FailureClass.INFRA
    if isinstance(error, RuntimeError) and any(part in text for part in _DEVICE_SETUP):
        return FailureClass.INFRA
    return FailureClass.USER_ERROR


def signature(error: BaseException) -> str:
    """A short hash of the type and the innermost line of an error, equal for equal failures.

    The message is left out: it often names the run.
    """
    if (reported := getattr(error, "failure_signature", None)) is not None:
        return str(reported)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return hashlib.sha256(f"{type(error).__name__} {where}".encode()).hexdigest()[:8]
