"""One run trained by several processes: this one holds the claim, its ranks train.

Each rank takes its slice of every batch and the gradients are averaged, so the curve equals that of
one process to rounding. Rank 0 decides, saves and records
(`scalinglab.scaling.engine.trainer.parallel`). For what only the holder of a claim may do, rank 0
asks this process over a connection. A closed connection tells each side that the other is gone: no
rank outlives its worker, and none hangs when another dies.

Ranks are children on this host, or, in a SLURM job of several nodes, tasks of one ``srun``. For
that the job's own script must not run under srun (see `scalinglab.sweeps.launch.slurm`).
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
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.scaling.training.child import child_environment, python_command, without_slurm
from scalinglab.scaling.training.endings import outcome, reason
from scalinglab.scaling.training.rank_failures import RankDied, RankFailed, failed, silent_end
from scalinglab.scaling.training.rank_messages import SECRET, RankFailure, RankWork
from scalinglab.scaling.training.srun import slurm_nodes, srun

POLL_SECONDS = 0.2
START_SECONDS = 600.0  # importing torch from a slow disk on many nodes at once
SETTLE_SECONDS = 2.0  # after a first failure: its cause may be reported after its consequences
END_SECONDS = 20.0  # for srun to end its tasks
ADMIT_SECONDS = 10.0  # for a new connection to send the secret


def train(
    claims: Sequence[Claim],
    pins: dict[str, Sequence[int]],
    execution: ExecutionConfig,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train claimed runs with ``execution.processes`` ranks.

    The arguments are those of `scalinglab.scaling.engine.trainer.trainer.train`. If a rank was
    killed, the attempt ends as interrupted; if one failed, as failed with the rank's traceback.
    """
    open_claims = dict(enumerate(claims))
    for claim in claims:
        claim.expect_reports(execution.hang_seconds)
    try:
        with _group(open_claims, pins, execution) as group:
            return group.watch(should_stop)
    except RankDied as error:
        _release(open_claims, Outcome.INTERRUPTED, error)
        return Outcome.INTERRUPTED
    except RankFailed as error:  # the rank's traceback is its note; that of this process is noise
        _release(open_claims, Outcome.FAILED, error.with_traceback(None), **error.facts)
        return Outcome.FAILED
    except BaseException as error:
        _release(open_claims, reason(error), error)
        return outcome(error)


def _release(
    open_claims: dict[int, Claim], end: Outcome, error: BaseException, **facts: Any
) -> None:
    for claim in open_claims.values():
        claim.release(end, error, **facts)


@contextlib.contextmanager
def _group(
    open_claims: dict[int, Claim], pins: dict[str, Sequence[int]], execution: ExecutionConfig
) -> Iterator[_Group]:
    nodes = slurm_nodes()
    claims = list(open_claims.values())
    work = RankWork(
        [c.folder.path for c in claims], [c.number for c in claims], pins, execution, nodes
    )
    group = _Group(open_claims, work)
    try:
        group.start()
        yield group
    finally:
        group.end()


class _Group:
    """The ranks of some claims, and the connections to them."""

    def __init__(self, open_claims: dict[int, Claim], work: RankWork) -> None:
        self.open_claims, self.work = open_claims, work
        self.secret = secrets.token_hex(32)
        self.size = work.execution.processes
        self.server = socket.create_server(("" if work.nodes > 1 else "127.0.0.1", 0))
        self.processes: list[subprocess.Popen[bytes]] = []
        self.strangers: list[Connection] = []  # connections that have not sent the secret yet
        self.ranks: dict[Connection, int] = {}
        self.outcomes: dict[int, Any] = {}  # rank -> outcome
        self.failures: list[RankFailure] = []
        self.gone: list[int] = []  # ranks whose connection closed without an outcome or a failure

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
        # In a new session, so that a terminal's Ctrl-C reaches only the worker, which asks rank 0
        # to save.
        self.processes.append(
            subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        )

    def end(self) -> None:
        """End all ranks; closed connections end those of other nodes."""
        for connection in (*self.ranks, *self.strangers):
            connection.close()
        self.server.close()
        for process in self.processes:
            if self.work.nodes > 1:  # srun waits for its tasks; if killed at once, some may stay
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(END_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # ------------------------------------------------------------------ watching

    def watch(self, should_stop: Callable[[], bool]) -> Outcome:
        """Serve the ranks until all have ended; returns the outcome or raises the cause."""
        started, deadline, is_stopping = time.monotonic(), float("inf"), False
        while len(self.outcomes) < self.size:
            if self._has_failed():
                deadline = min(deadline, time.monotonic() + SETTLE_SECONDS)
                if time.monotonic() >= deadline or self._all_ended():
                    raise self._cause()
            elif len(self.ranks) < self.size and time.monotonic() - started > START_SECONDS:
                raise TimeoutError(
                    f"{len(self.ranks)} of {self.size} ranks were there after {START_SECONDS:.0f} s"
                )
            if not is_stopping and 0 in self.ranks.values() and should_stop():
                is_stopping = True
                self._send(0, ("stop", None))
            for ready in wait([self.server, *self.strangers, *self.ranks], POLL_SECONDS):
                self._handle(ready)
        return Outcome(self.outcomes[0])

    def _handle(self, ready: Any) -> None:
        if ready is self.server:
            self.strangers.append(Connection(self.server.accept()[0].detach()))
        elif ready in self.strangers:
            self.strangers.remove(ready)
            self._admit(ready)
        elif ready in self.ranks:
            self._receive(ready)

    def _admit(self, connection: Connection) -> None:
        """Admit a connection that knows the secret; others must not send what is unpickled."""
        with contextlib.suppress(EOFError, OSError):
            if not connection.poll(ADMIT_SECONDS):
                connection.close()
                return
            if hmac.compare_digest(connection.recv_bytes(len(self.secret)), self.secret.encode()):
                self.ranks[connection] = connection.recv()
                connection.send(("work", self.work))
                return
        connection.close()

    def _receive(self, connection: Connection) -> None:
        rank = self.ranks[connection]
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            del self.ranks[connection]
            if rank not in self.outcomes and all(f.rank != rank for f in self.failures):
                self.gone.append(rank)
            return
        if kind == "over":
            self.outcomes[rank] = content
        elif kind == "failed":
            self.failures.append(content)
        elif kind == "report":
            self.open_claims[content[0]].report(content[1])
        elif kind == "release":
            self.open_claims.pop(content[0]).release(content[1])
        elif kind == "finish":
            self._send(rank, ("answer", self._finish(*content)))

    def _finish(self, index: int, status: State, steps: int, files: dict[str, str]) -> Any:
        try:
            is_first = self.open_claims[index].finish(status, steps, files)
        except Exception as error:  # sent to rank 0, which fails with it
            return error
        del self.open_claims[index]
        return is_first

    def _send(self, rank: int, message: Any) -> None:
        for connection, number in self.ranks.items():
            if number == rank:
                with contextlib.suppress(OSError):  # the next receive notices a closed connection
                    connection.send(message)

    # ------------------------------------------------------------------ ends

    def _all_ended(self) -> bool:
        return all(p.poll() is not None for p in self.processes) and not self.ranks

    def _has_failed(self) -> bool:
        """Whether a rank failed, was killed, or ended before its outcome arrived."""
        if self.failures or self.gone:
            return True
        codes = [p.poll() for p in self.processes]
        # Exit code 0 is no failure as long as a connection is open: messages may be waiting in it.
        ended_early = not self.ranks and any(code is not None for code in codes)
        return ended_early or any(code not in (None, 0) for code in codes)

    def _cause(self) -> Exception:
        """The first failure: a rank that was killed or silent comes before those that missed it."""
        reported = {f.rank for f in self.failures} | self.outcomes.keys()
        if self.work.nodes == 1:
            codes = {r: p.poll() for r, p in enumerate(self.processes) if r not in reported}
            for rank, code in codes.items():
                if code is not None and code < 0:
                    return RankDied(
                        f"rank {rank} of {self.size} was killed by {signal.Signals(-code).name}"
                    )
            for rank, code in codes.items():
                if code is not None:
                    return silent_end(f"rank {rank} of {self.size}", code)
        elif self.gone:
            return RankDied(f"rank {self.gone[0]} of {self.size} ended without a word")
        elif not self.failures:
            return silent_end("srun", self.processes[0].poll())
        first = min(self.failures, key=lambda f: f.moment)
        return ClaimLost(first.error) if first.lost else failed(first, self.size)


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]
