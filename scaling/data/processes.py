"""Processes that encode chunks; the results do not depend on their number.

Each is a new Python process with the same code and extensions. It ends when its pipe closes, so
that none outlives a killed build.
"""

from __future__ import annotations

import collections
import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import local
from typing import Any

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions.handing_on import inherited, load_inherited

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from scalinglab.scaling.data.processes import serve; serve(int(sys.argv[2]))"
)
# One thread a process: they share the cores among themselves.
_ONE_THREAD = {
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
_AHEAD = 2  # chunks a process that are being encoded or wait for their turn


def mapped(
    function: Callable[[Any, Any], Any], shared: Any, items: Iterable[Any], processes: int
) -> Iterator[Any]:
    """``function(shared, item)`` of each item, in order; only a few are in memory at once.

    Parameters
    ----------
    function : callable
        A function of a module, which another process can import.
    shared, items : any
        Objects that can be pickled.
    processes : int
        The number of processes; 1 means this one.
    """
    if processes <= 1:
        yield from (function(shared, item) for item in items)
        return
    thread = local()
    children: list[_Child] = []

    def call(item: Any) -> Any:
        if not hasattr(thread, "child"):
            thread.child = _Child(function, shared)
            children.append(thread.child)
        return thread.child.call(item)

    threads = ThreadPoolExecutor(processes, "encode")
    waiting: collections.deque[Future[Any]] = collections.deque()
    try:
        for item in items:
            waiting.append(threads.submit(call, item))
            if len(waiting) >= _AHEAD * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for child in children:
            child.kill()  # a thread that waits for it sees the end of its pipe
        threads.shutdown(cancel_futures=True)
        for child in children:
            child.close()


class _Child:
    """Another Python process, which applies the function to one item at a time."""

    def __init__(self, function: Callable[[Any, Any], Any], shared: Any) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [
                sys.executable,
                "-P",
                "-c",
                _START,
                json.dumps(sys.path),
                str(theirs.fileno()),
            ]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=os.environ | inherited() | _ONE_THREAD,
                stdin=subprocess.DEVNULL,
            )
        self._pipe = Connection(ours.detach())
        self._pipe.send((function, shared))

    def call(self, item: Any) -> Any:
        """The function's value for an item."""
        try:
            self._pipe.send(item)
            answer, error = self._pipe.recv()
        except (EOFError, OSError) as lost:
            code = self._process.wait()
            raise UserError(
                f"a process that turns text into tokens ended (code {code}), as when memory is"
                " short; run the command again, it goes on from there, with fewer processes"
            ) from lost
        if error is not None:
            raise error
        return answer

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close the pipe, after no thread waits for it."""
        self._pipe.close()


def serve(descriptor: int) -> None:
    """Run in the child: apply the function to items until the pipe closes."""
    pipe = Connection(descriptor)
    try:
        load_inherited()
        function, shared = pipe.recv()
        while True:
            item = pipe.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = function(shared, item), None
            except UserError as error:
                answer = None, error
            except Exception:
                answer = None, RuntimeError(f"in a process of its own:\n{traceback.format_exc()}")
            pipe.send(answer)
    except (EOFError, OSError, KeyboardInterrupt):
        return  # the build is over, or was killed
