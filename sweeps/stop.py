"""A flag that signals raise: work is saved at the next step boundary, never inside a handler."""

from __future__ import annotations

import os
import signal


class StopFlag:
    """Becomes true on SIGTERM or SIGINT, or when the launcher that started us is gone.

    Parameters
    ----------
    parent : int, optional
        The launcher's process number, told by the launcher: it may be gone before we look. None
        for a process that a person started: that one outlives its shell.
    """

    def __init__(self, parent: int | None = None) -> None:
        self.raised = False
        self.parent = parent
        self._previous: dict[int, object] = {}

    def install(self) -> None:
        """Take over the signals; a second SIGINT interrupts at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._raise)

    def uninstall(self) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _raise(self, number: int, frame: object) -> None:
        if self.raised and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.raised = True

    def __call__(self) -> bool:
        return self.raised or (self.parent is not None and os.getppid() != self.parent)
