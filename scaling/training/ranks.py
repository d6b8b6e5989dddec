"""One run trained by several processes: this one holds the claim, its ranks do the work.

Each rank takes its slice of every batch; the gradients are averaged, so the curve is that of one
process to rounding. Rank 0 decides, saves and records
(``scalinglab.scaling.engine.trainer.parallel``). It asks this process for what only the holder of a
claim may do, over a connection that also tells either side when the other is gone: no rank outlives
its worker, and none hangs when another dies.

Ranks are children on this host, or, in a SLURM job of several nodes, tasks of one ``srun``. The
job's own script must not run under srun for that (``scalinglab.sweeps.launch.slurm`` sees to it).
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim, ClaimLost
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.scaling.training.child import child_environment, python_command, without_slurm
from scalinglab.scaling.training.endings import outcome, reason
from scalinglab.scaling.training.rank_messages import SECRET, RankFailure, RankWork
from scalinglab.scaling.training.srun import slurm_nodes, srun

POLL_SECONDS = 0.2
START_SECONDS = 600.0  # importing torch from a slow disk on many nodes at once
SETTLE_SECONDS = 2.0  # after a first failure, for its cause to show beside what it caused
END_SECONDS = 20.0
ADMIT_SECONDS = 10.0


class RankFailed(Exception):
    """A rank ended with an error; carries what
    `scalinglab.scaling.records.failures` made of it there.

    Attributes
    ----------
    facts : dict
        What the next attempt should know.
    """

    def __init__(self, text: str, failure_class: FailureClass, failure_signature: str) -> None:
        super().__init__(text)
        self.failure_class = failure_class
        self.failure_signature = failure_signature
        self.facts: dict[str, int] = {}


class RankDied(Exception):
    """A rank was killed: nobody's mistake, as when a worker is."""


def train(
    claims: Sequence[Claim],
    pins: dict[str, Sequence[int]],
    execution: ExecutionConfig,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train claimed runs by ``execution.processes`` ranks;
    as ``scalinglab.scaling.engine.trainer.trainer.train``.

    A rank that was killed ends the attempt as interrupted, one that failed as failed with its
    traceback.
    """
    claims_held = dict(enumerate(claims))
    for claim in claims:
        claim.expect_reports(execution.hang_seconds)
    try:
        with _group(claims_held, pins, execution) as group:
            return group.watch(should_stop)
    except RankDied as error:
        _release(claims_held, Outcome.INTERRUPTED, error)
        return Outcome.INTERRUPTED
    except RankFailed as error:  # its traceback is the rank's: where we noticed says nothing
        _release(claims_held, Outcome.FAILED, error.with_traceback(None), **error.facts)
        return Outcome.FAILED
    except BaseException as error:
        _release(claims_held, reason(error), error)
        return outcome(error)


def _release(held: dict[int, Claim], why: Outcome, error: BaseException, **facts: Any) -> None:
    for claim in held.values():
        claim.release(why, error, **facts)


@contextlib.contextmanager
def _group(
    held: dict[int, Claim], pins: dict[str, Sequence[int]], execution: ExecutionConfig
) -> Iterator[_Group]:
    nodes = slurm_nodes()
    claims = list(held.values())
    work = RankWork(
        [c.folder.path for c in claims], [c.number for c in claims], pins, execution, nodes
    )
    group = _Group(held, work)
    try:
        group.start()
        yield group
    finally:
        group.end()


class _Group:
    """The ranks of some claims, and the connections to them."""

    def __init__(self, held: dict[int, Claim], work: RankWork) -> None:
        self.held, self.work = held, work
        self.secret = secrets.token_hex(32)
        self.size = work.execution.processes
        self.server = socket.create_server(("" if work.nodes > 1 else "127.0.0.1", 0))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.unknown: list[Connection] = []
        self.ranks: dict[Connection, int] = {}
        self.over: dict[int, Any] = {}  # rank -> its outcome
        self.failures: list[RankFailure] = []
        self.gone: list[int] = []  # connections that closed without a last word

    # ------------------------------------------------------------------ processes

    def start(self) -> None:
        """Start all ranks."""
        host = machine.node() if self.work.nodes > 1 else "127.0.0.1"
        port = str(self.server.getsockname()[1])
        command = python_command("scalinglab.scaling.engine.trainer.rank_main", host, port)
        environment = (
            child_environment()
            | machine.compile_threads(self.size // self.work.nodes)
            | {
                SECRET: self.secret,
                "MASTER_ADDR": host,
                "MASTER_PORT": str(_free_port()),
            }
        )
        if self.work.nodes > 1:
            self._spawn(srun(self.size, self.work.nodes) + command, environment)
            return
        environment = without_slurm(environment)
        for rank in range(self.size):
            self._spawn(
                command,
                environment
                | {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "NODE_RANK": "0",
                    "WORLD_SIZE": str(self.size),
                },
            )

    def _spawn(self, command: list[str], environment: dict[str, str]) -> None:
        # Its own session: a terminal's Ctrl-C reaches the worker only, which asks rank 0 to save.
        self.processes.append(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        )

    def end(self) -> None:
        """Let nothing live on: closed connections end the ranks, also those of other nodes."""
        for connection in (*self.ranks, *self.unknown):
            connection.close()
        self.server.close()
        for process in self.processes:
            if self.work.nodes > 1:  # srun waits for its tasks; killed at once it may leave some
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # ------------------------------------------------------------------ watching

    def watch(self, should_stop: Callable[[], bool]) -> Outcome:
        """Serve the ranks until all have ended; the outcome, or what went wrong."""
        started, settled, is_asked = time.monotonic(), float("inf"), False
        while not self._ended():
            if self._trouble():
                settled = min(settled, time.monotonic() + SETTLE_SECONDS)
                if time.monotonic() >= settled or self._all_left():
                    raise self._cause()
            elif len(self.ranks) < self.size and time.monotonic() - started > START_SECONDS:
                raise TimeoutError(
                    f"{len(self.ranks)} of {self.size} ranks were there after {START_SECONDS:.0f} s"
                )
            if not is_asked and 0 in self.ranks.values() and should_stop():
                is_asked = True
                self._tell(0, ("stop", None))
            for ready in wait([self.server, *self.unknown, *self.ranks], POLL_SECONDS):
                self._attend(ready)
        return Outcome(self.over[0])

    def _attend(self, ready: Any) -> None:
        if ready is self.server:
            self.unknown.append(Connection(self.server.accept()[0].detach()))
        elif ready in self.unknown:
            self.unknown.remove(ready)
            self._admit(ready)
        elif ready in self.ranks:
            self._hear(ready)

    def _admit(self, connection: Connection) -> None:
        """Only who knows the secret may speak: what follows is unpickled."""
        with contextlib.suppress(EOFError, OSError):
            if not connection.poll(ADMIT_SECONDS):  # a stranger who says nothing
                connection.close()
                return
            if hmac.compare_digest(connection.recv_bytes(len(self.secret)), self.secret.encode()):
                self.ranks[connection] = connection.recv()
                connection.send(("work", self.work))
                return
        connection.close()

    def _hear(self, connection: Connection) -> None:
        rank = self.ranks[connection]
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            del self.ranks[connection]
            if rank not in self.over and all(f.rank != rank for f in self.failures):
                self.gone.append(rank)
            return
        if kind == "over":
            self.over[rank] = value
        elif kind == "failed":
            self.failures.append(value)
        elif kind == "report":
            self.held[value[0]].report(value[1])
        elif kind == "release":
            self.held.pop(value[0]).release(value[1])
        elif kind == "finish":
            self._tell(rank, ("answer", self._finish(*value)))

    def _finish(self, index: int, status: State, steps: int, files: dict[str, str]) -> Any:
        try:
            first = self.held[index].finish(status, steps, files)
        except Exception as error:  # rank 0 is to know, and fails with it
            return error
        del self.held[index]
        return first

    def _tell(self, rank: int, message: Any) -> None:
        for connection, number in self.ranks.items():
            if number == rank:
                with contextlib.suppress(OSError):  # it is noticed when it is next heard
                    connection.send(message)

    # ------------------------------------------------------------------ ends

    def _ended(self) -> bool:
        return len(self.over) == self.size

    def _all_left(self) -> bool:
        return all(p.poll() is not None for p in self.processes) and not self.ranks

    def _trouble(self) -> bool:
        """Whether something ended that should not have."""
        if self.failures or self.gone:
            return True
        # One that has ended well may not have been heard out.
        return (not self.ranks and any(p.poll() is not None for p in self.processes)) or any(
            p.poll() not in (None, 0) for p in self.processes
        )

    def _cause(self) -> Exception:
        """What began it: a rank that fell silent, before those that then missed it."""
        spoke = {f.rank for f in self.failures} | self.over.keys()
        if self.work.nodes == 1:
            codes = {r: p.poll() for r, p in enumerate(self.processes) if r not in spoke}
            for rank, code in codes.items():
                if code is not None and code < 0:
                    return RankDied(
                        f"rank {rank} of {self.size} was killed by {signal.Signals(-code).name}"
                    )
            for rank, code in codes.items():
                if code is not None:
                    return _silent(f"rank {rank} of {self.size}", code)
        elif self.gone:
            return RankDied(f"rank {self.gone[0]} of {self.size} ended without a word")
        elif not self.failures:
            return _silent("srun", self.processes[0].poll())
        first = min(self.failures, key=lambda f: f.moment)
        if first.lost:
            return ClaimLost(first.error)
        error = RankFailed(
            f"rank {first.rank} of {self.size}: {first.error}", first.kind, first.signature
        )
        error.add_note(first.trace)
        if first.micro_batch is not None:
            error.facts["micro_batch"] = first.micro_batch
        return error


def _silent(who: str, code: int | None) -> RankFailed:
    return RankFailed(
        f"{who} ended with the exit code {code} and said no more than what stands in "
        "the worker's log",
        FailureClass.USER_ERROR,
        f"rank-{code}",
    )


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]
