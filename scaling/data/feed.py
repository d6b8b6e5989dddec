"""Tokens of a training, chunk by chunk: a thread fetches the next chunk while the device computes.

The tokens of a step are a pure function of the step, so that a wrong guess about the beginning or
length of the next chunk costs time and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

NAME = "tokens"  # of the thread


class Feed:
    """Gives the tokens of any steps, at once if they were expected.

    At most one chunk is prefetched. The thread begins with the first expectation and ends with
    ``close``.

    Parameters
    ----------
    fetch : callable
        (step, steps) -> their tokens, an array (steps, ...); runs in one thread at a time.
    """

    def __init__(self, fetch: Callable[[int, int], np.ndarray]) -> None:
        self._fetch = fetch
        self._thread = ThreadPoolExecutor(1, NAME)
        self._expected: tuple[int, Future[np.ndarray]] | None = None

    def take(self, step: int, steps: int) -> np.ndarray:
        """The tokens of `steps` steps from `step` on, whatever was expected.

        Raises
        ------
        Exception
            Any exception of `fetch`, also from the thread.
        """
        ready = self._ready(step)
        if ready is None:
            return self._fetch(step, steps)
        if len(ready) >= steps:
            return ready[:steps]
        return np.concatenate([ready, self._fetch(step + len(ready), steps - len(ready))])

    def expect(self, step: int, steps: int) -> None:
        """Begin to fetch the probable next chunk; an earlier expectation is dropped."""
        self._drop()
        self._expected = step, self._thread.submit(self._fetch, step, steps)

    def close(self) -> None:
        """End the thread; afterwards nothing can be expected."""
        self._drop()
        self._thread.shutdown()

    def _ready(self, step: int) -> np.ndarray | None:
        """The prefetched tokens, if they begin at this step."""
        if self._expected is None or self._expected[0] != step:
            self._drop()
            return None
        (_, fetched), self._expected = self._expected, None
        return fetched.result()

    def _drop(self) -> None:
        """Drop the expected chunk after its fetch has ended: two chunks must not be in memory."""
        if self._expected is not None:
            wait([self._expected[1]])
            self._expected = None
