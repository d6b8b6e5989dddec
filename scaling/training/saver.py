"""When a training saves its state, and in which thread.

A snapshot (a copy in memory) is taken between two chunks. A small one is written at once; a large
one by a separate thread during training, one at a time. The interval grows with the cost of saving,
so that saving takes a small share of the time for any size of the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")

SHARE = 0.02  # share of a training's time that saving may take
# The interval is never longer than so many times ``execution.checkpoint_seconds``: ten minutes, for
# its default of 30 s. With the time of one write it bounds the work that a kill loses.
LONGEST = 20
ASIDE_BYTES = 32 * 2**20  # a smaller state is written before a thread would pay


class Saver(Generic[T]):
    """Writes one set of checkpoints at a time.

    Parameters
    ----------
    seconds : float
        The shortest interval.
    aside : bool
        Whether a thread may write; not if other processes take part.
    """

    def __init__(self, seconds: float, aside: bool = True) -> None:
        self._seconds, self._aside = seconds, aside
        self._cost = 0.0
        self._began = time.monotonic()
        self._writing: Future[tuple[T, float]] | None = None

    @property
    def interval(self) -> float:
        """Seconds from one snapshot to the next, by what the last one cost."""
        return min(max(self._seconds, self._cost / SHARE), LONGEST * self._seconds)

    def is_due(self) -> bool:
        """Whether it is time for the next snapshot; never while one is being written."""
        return self._writing is None and time.monotonic() - self._began >= self.interval

    def restart(self) -> None:
        """Begin the interval anew."""
        self._began = time.monotonic()

    def start(self, write: Callable[[], T], size: int, began: float) -> None:
        """Write a snapshot, at once or in the thread, which must be idle.

        Parameters
        ----------
        write : callable
            Writes it; its value is returned by `settle`.
        size : int
            Its bytes.
        began : float
            When the snapshot began, by ``time.monotonic``; the training has waited since.
        """
        assert self._writing is None
        if self._aside and size >= ASIDE_BYTES:
            executor = ThreadPoolExecutor(1, "checkpoint")
            self._writing = executor.submit(_timed, write)
            executor.shutdown(wait=False)
        else:
            written = Future[tuple[T, float]]()
            written.set_result((write(), 0.0))
            self._writing = written
        self._cost = time.monotonic() - began

    def settle(self, wait: bool = False) -> T | None:
        """The value of a write that ended since the last call; None if there is none.

        Raises
        ------
        Exception
            The exception of the write.
        """
        if self._writing is None or not (wait or self._writing.done()):
            return None
        began = time.monotonic()
        written, busy = self._writing.result()
        self._writing = None
        # Computation in the thread takes a core from the training, waiting for the disk does not.
        self._cost += time.monotonic() - began + busy
        return written

    def drop(self) -> None:
        """Wait for the end of a write and ignore its result."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.exception()


def _timed(write: Callable[[], T]) -> tuple[T, float]:
    """The value of a function, and the processor time that it took in this thread."""
    began = time.thread_time()
    return write(), time.thread_time() - began
