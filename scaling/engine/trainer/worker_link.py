"""A rank's connection to the worker that holds its claims, and the claims as a rank sees them."""

from __future__ import annotations

import os
import queue
import socket
import threading
from multiprocessing.connection import Connection
from typing import Any

from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.scaling.training.rank_messages import SECRET


class WorkerLink:
    """The connection to the worker.

    Attributes
    ----------
    stop : bool
        Whether the worker asks for the run to be saved and stopped.
    """

    def __init__(self, host: str, port: int, rank: int) -> None:
        self.stop = False
        self._over = False
        self._answers: queue.Queue[Any] = queue.Queue()
        self._connection = Connection(socket.create_connection((host, port)).detach())
        self._connection.send_bytes(os.environ.pop(SECRET).encode())
        self._connection.send(rank)
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, kind: str, value: Any) -> None:
        """Send a message that needs no answer."""
        self._connection.send((kind, value))

    def leave(self, outcome: Outcome | None) -> None:
        """Send the outcome as the last message; the worker may then close the connection."""
        self._over = True
        self.tell("over", outcome)

    def ask(self, kind: str, value: Any) -> Any:
        """Send a message and wait for the answer; an answer that is an exception is raised."""
        self.tell(kind, value)
        return self.answer()

    def answer(self) -> Any:
        """The next answer."""
        value = self._answers.get()
        if isinstance(value, BaseException):
            raise value
        return value

    def _listen(self) -> None:
        try:
            while True:
                kind, value = self._connection.recv()
                if kind == "stop":
                    self.stop = True
                else:
                    self._answers.put(value)
        except (EOFError, OSError):
            os._exit(0 if self._over else 1)  # without its worker nobody records this run


class LentClaim:
    """A claim that the worker holds: a rank asks the worker for every change."""

    def __init__(self, folder: RunFolder, number: int, index: int, link: WorkerLink) -> None:
        self.folder, self.number = folder, number
        self._index, self._link = index, link

    def is_current(self) -> bool:
        """See ``Claim.is_current``."""
        return not self.folder.attempt_file(self.number + 1, "json").exists()

    def is_cancelled(self) -> bool:
        """See ``Claim.is_cancelled``."""
        return self.folder.attempt_file(self.number, "cancel").exists()

    def report(self, progress: dict[str, Any]) -> None:
        """See ``Claim.report``."""
        self._link.tell("report", (self._index, progress))

    def finish(self, status: State, steps: int, files: dict[str, str]) -> bool:
        """See ``Claim.finish``."""
        return self._link.ask("finish", (self._index, status, steps, files))

    def release(self, reason: Outcome) -> None:
        """See ``Claim.release``; the rank's last message holds the error."""
        self._link.tell("release", (self._index, reason))
