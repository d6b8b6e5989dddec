"""The state of a study, derived from its run folders each time it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from scalinglab.scaling.records.state import TO_BEGIN, State
from scalinglab.scaling.training.starts import starts_of
from scalinglab.sweeps.store.stored_plan import StoredRun

# Pause after a look at all runs, as a multiple of its duration: looking takes 5 % of the time.
LOOKS_APART = 20


class StateReader:
    """States of the runs of one plan at one moment, each read once and only when needed.

    Parameters
    ----------
    runs : iterable of StoredRun
        The runs of one plan.
    given_up : callable, optional
        Whether a launch has given a run up. With it the states are those that the launch sees: a
        run that it gave up is "failed" and nobody waits for it; a failed run that it will try again
        is "interrupted", and its branches wait for it.
    finished : set of str, optional
        Ids of runs that are known to be finished.
    """

    def __init__(
        self,
        runs: Iterable[StoredRun],
        given_up: Callable[[StoredRun], bool] | None = None,
        finished: Collection[str] = (),
    ) -> None:
        self._runs = {r.run_id: r for r in runs}
        self._given_up, self._finished = given_up, finished
        self._own_states: dict[str, State] = {}
        self._states: dict[str, State] = {}

    def state(self, run: StoredRun) -> State:
        """State of a run; "waiting" if it could begin but for the checkpoint of another run."""
        run_id = run.run_id
        if run_id not in self._states:
            own_state = self._own_state(run)
            waits = own_state in TO_BEGIN and self._must_wait(run)
            self._states[run_id] = State.WAITING if waits else own_state
        return self._states[run_id]

    def _own_state(self, run: StoredRun) -> State:
        """State of a run by its own folder, whatever it may wait for."""
        run_id = run.run_id
        if run_id not in self._own_states:
            state = State.DONE if run_id in self._finished else run.folder.state()
            if self._given_up is not None and state in (*TO_BEGIN, State.FAILED):
                if self._given_up(run):
                    state = State.FAILED
                elif state == State.FAILED:
                    state = State.INTERRUPTED
            self._own_states[run_id] = state
        return self._own_states[run_id]

    def _must_wait(self, run: StoredRun) -> bool:
        """Whether a run must wait for the checkpoint of another: its trunk, or its initial weights.

        It waits while the other run may still leave the checkpoint. After that a branch trains the
        shared steps itself.
        """
        if run.needs is None:
            return False
        trunk, step = self._runs.get(run.needs[0]), run.needs[1]
        if trunk is None or self._own_state(trunk) not in (*TO_BEGIN, State.RUNNING):
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
