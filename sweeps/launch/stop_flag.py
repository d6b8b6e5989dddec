"""A flag raised by signals: work is saved at the next step boundary, not in a signal handler."""

from __future__ import annotations

import os
import signal

WARNING = signal.SIGUSR2  # SLURM's warning before a time limit and before preemption


class StopFlag:
    """Becomes true on SIGTERM, SIGINT or SIGUSR2, or when the launcher that started us is gone.

    Parameters
    ----------
    parent : int, optional
        The launcher's process id, as passed by the launcher, which may have ended before this
        process could ask for it. None for a process that a person or a scheduler started: it
        outlives its shell.

    Attributes
    ----------
    raised : bool
        Whether a signal came.
    warned : bool
        Whether it was the scheduler's warning: the work is to be continued later.
    """

    def __init__(self, parent: int | None = None) -> None:
        self.raised = self.warned = False
        self.parent = parent
        self._process = os.getpid()
        self._previous: dict[int, object] = {}

    def install(self) -> None:
        """Take over the signals; a second SIGINT interrupts at once."""
        for number in (signal.SIGTERM, signal.SIGINT, WARNING):
            self._previous[number] = signal.signal(number, self._raise)

    def uninstall(self) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _raise(self, number: int, frame: object) -> None:
        if os.getpid() != self._process:  # a child that was forked inherits the handler
            return
        if self.raised and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.raised = True
        self.warned |= number == WARNING

    def __call__(self) -> bool:
        """Whether to stop: a signal came, or the launcher is gone."""
        return self.raised or (self.parent is not None and os.getppid() != self.parent)
