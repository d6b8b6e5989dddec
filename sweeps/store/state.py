"""The state of a study, derived from its run folders each time it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from scalinglab.scaling.records.state import TO_BEGIN, State
from scalinglab.scaling.training.starts import starts_of
from scalinglab.sweeps.store.stored_plan import StoredRun

# A look at all runs is followed by so many times as long without one: 5 % of the time at the most.
LOOKS_APART = 20


class StateReader:
    """States of the runs of one plan at one moment, each read once and only if it is asked for.

    Parameters
    ----------
    runs : iterable of StoredRun
        The runs of one plan.
    given_up : callable, optional
        Whether a launch tries a run no more. It looks at the states as that launch does: a run to
        begin that it gave up is "failed" and nobody waits for it, a failed one that it will try
        again is "interrupted", and its branches wait for it.
    finished : set of str, optional
        Runs that are known to be finished.
    """

    def __init__(
        self,
        runs: Iterable[StoredRun],
        given_up: Callable[[StoredRun], bool] | None = None,
        finished: Collection[str] = (),
    ) -> None:
        self._runs = {r.run_id: r for r in runs}
        self._given_up, self._finished = given_up, finished
        self._apart: dict[str, State] = {}
        self._states: dict[str, State] = {}

    def state(self, run: StoredRun) -> State:
        """State of a run; waiting is one to begin whose trunk's checkpoint is still to come."""
        run_id = run.run_id
        if run_id not in self._states:
            alone = self._alone(run)
            waits = alone in TO_BEGIN and self._must_wait(run)
            self._states[run_id] = State.WAITING if waits else alone
        return self._states[run_id]

    def _alone(self, run: StoredRun) -> State:
        """State of a run, whatever it may wait for."""
        run_id = run.run_id
        if run_id not in self._apart:
            state = State.DONE if run_id in self._finished else run.folder.state()
            if self._given_up is not None and state in (*TO_BEGIN, State.FAILED):
                if self._given_up(run):
                    state = State.FAILED
                elif state == State.FAILED:
                    state = State.INTERRUPTED
            self._apart[run_id] = state
        return self._apart[run_id]

    def _must_wait(self, run: StoredRun) -> bool:
        """A branch waits while its trunk may still leave the checkpoint; else it trains itself.

        So does a run for the weights of another that it begins with.
        """
        if run.needs is None:
            return False
        trunk, step = self._runs.get(run.needs[0]), run.needs[1]
        if trunk is None or self._alone(trunk) not in (*TO_BEGIN, State.RUNNING):
            return False
        spec, outputs = run.spec(), run.folder.outputs
        start_step = next(starts_of(outputs, spec), 0)
        if spec.initial is not None and spec.initial.run == trunk.run_id:
            return start_step == 0 and spec.initial.place(outputs) is None
        return start_step < step


def states(
    runs: Iterable[StoredRun], given_up: Callable[[StoredRun], bool] | None = None
) -> dict[str, State]:
    """run_id -> state of runs of one plan (`StateReader`)."""
    runs = list(runs)
    reader = StateReader(runs, given_up)
    return {r.run_id: reader.state(r) for r in runs}
