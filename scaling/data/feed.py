"""Tokens of a training, chunk by chunk: a thread fetches the next while the device computes.

What a step sees is a pure function of the step, so to fetch ahead is to guess where the next chunk
begins and how long it is. A wrong guess costs time, never order.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

NAME = "tokens"  # of the thread


class Feed:
    """Gives the tokens of any steps, sooner where they were expected.

    At most one chunk is held or being fetched beside those that were taken. The thread begins with
    the first expectation and ends with ``close``.

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
        """Tokens of so many steps from one on: exactly these, whatever was expected.

        Raises
        ------
        Exception
            What fetching them raised, in whichever thread.
        """
        ready = self._ready(step)
        if ready is None:
            return self._fetch(step, steps)
        missing = steps - len(ready)
        if missing <= 0:
            return ready[:steps]
        return np.concatenate([ready, self._fetch(step + len(ready), missing)])

    def expect(self, step: int, steps: int) -> None:
        """Begin to fetch what will probably be taken next; what was expected before is dropped."""
        self._drop()
        self._expected = step, self._thread.submit(self._fetch, step, steps)

    def close(self) -> None:
        """End the thread; nothing can be expected any more."""
        self._drop()
        self._thread.shutdown()

    def _ready(self, step: int) -> np.ndarray | None:
        """What was fetched from this step on, once it is there."""
        if self._expected is None or self._expected[0] != step:
            self._drop()
            return None
        (_, fetched), self._expected = self._expected, None
        return fetched.result()

    def _drop(self) -> None:
        """Let go of what was expected; not while it is being fetched, or two might be held."""
        if self._expected is not None:
            wait([self._expected[1]])
            self._expected = None
