"""Fits in lockstep: each runs until it needs a minimum, and all that wait are solved together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from threading import Semaphore, Thread
from typing import Generic, TypeVar

from scalinglab.analysis.fitting.joint_misfit import solve_jointly
from scalinglab.analysis.fitting.levenberg_marquardt import SOLVER, Minimisation, Solution

Answer = TypeVar("Answer")


def in_lockstep(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Make calls that fit laws, with their minimisations solved as one batch where they can be.

    The calls take turns, in their order and never two at a time: each has a thread only because it
    has to stop in the middle. Results do not depend on the machine's threads.

    Parameters
    ----------
    calls : sequence of callable
        Without arguments.

    Returns
    -------
    list
        The answer of each call.

    Raises
    ------
    Exception
        What a call raises; the other calls are then given up.
    """
    if len(calls) < 2:
        return [call() for call in calls]
    running = [_Call(call) for call in calls]
    try:
        for call in running:
            call.resume()
        while waiting := [(c, c.asked) for c in running if c.asked is not None]:
            solutions = solve_jointly([asked for _, asked in waiting])
            for (call, _), solution in zip(waiting, solutions, strict=True):
                call.resume(solution)
        return [call.answer.result() for call in running]
    finally:
        for call in running:
            call.give_up()


class _GivenUp(BaseException):
    """Raised inside a call whose answer nobody waits for any more."""


class _Call(Generic[Answer]):
    """A call that stops at each minimisation until its solution is given.

    Attributes
    ----------
    asked : Minimisation or None
        The minimisation that it waits for.
    answer : Future
        Done once the call has ended.
    """

    def __init__(self, call: Callable[[], Answer]) -> None:
        self.asked: Minimisation | None = None
        self.answer: Future[Answer] = Future()
        self._call = call
        self._given: Solution | None = None
        self._is_given_up = False
        self._may_run, self._has_stopped = Semaphore(0), Semaphore(0)
        self._thread = Thread(target=copy_context().run, args=(self._run,), daemon=True)
        self._thread.start()

    def resume(self, solution: Solution | None = None) -> None:
        """Run until it asks for a minimum or ends; what it raised is raised again."""
        self.asked, self._given = None, solution
        self._may_run.release()
        self._has_stopped.acquire()
        if self.answer.done():
            self.answer.result()

    def give_up(self) -> None:
        """End the thread, wherever it waits."""
        self._is_given_up = True
        self._may_run.release()
        self._thread.join()

    def _run(self) -> None:
        self._may_run.acquire()
        SOLVER.set(self._wait_for)
        try:
            if not self._is_given_up:
                self.answer.set_result(self._call())
        except BaseException as error:  # raised again by `resume`
            self.answer.set_exception(error)
        self._has_stopped.release()

    def _wait_for(self, asked: Minimisation) -> Solution:
        self.asked = asked
        self._has_stopped.release()
        self._may_run.acquire()
        if self._given is None or self._is_given_up:
            raise _GivenUp
        return self._given
