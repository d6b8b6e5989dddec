"""Calls that stop at each minimisation, and what they have in common is solved as one."""

import threading
from functools import partial

import numpy as np
import pytest

from scalinglab.analysis.fitting import lockstep
from scalinglab.analysis.fitting.joint_misfit import solve_jointly
from scalinglab.analysis.fitting.levenberg_marquardt import minimise
from scalinglab.analysis.fitting.lockstep import in_lockstep

LIMITS = (np.full(1, -9.0), np.full(1, 9.0))


def _parabola(centre, u, problem, caution):
    away = u[:, 0] - centre
    return away**2, 2 * away[:, None], np.full((len(u), 1, 1), 2.0)


def _two_minima(first, second):
    ends = []
    for centre in (first, second):
        found = minimise(partial(_parabola, centre), np.zeros((3, 1)), *LIMITS)
        ends.append(found.coordinates[:, 0])
    return ends


def test_each_call_gets_the_minima_that_it_asked_for(monkeypatch):
    waiting = []

    def counted(asked):
        waiting.append(len(asked))
        return solve_jointly(asked)

    monkeypatch.setattr(lockstep, "solve_jointly", counted)
    calls = [partial(_two_minima, k, -k) for k in range(1, 4)]
    calls.insert(1, lambda: "no minimum")
    found = in_lockstep(calls)
    assert found[1] == "no minimum" and waiting == [3, 3]
    for k, ends in zip((1, 2, 3), [found[0], *found[2:]], strict=True):
        np.testing.assert_allclose(ends, [[k] * 3, [-k] * 3], atol=1e-6)


def test_calls_take_turns_in_their_order():
    running, order = [], []

    def call(name):
        for _ in range(2):
            assert not running
            running.append(name)
            order.append(name)
            running.remove(name)
            minimise(partial(_parabola, 1.0), np.zeros((1, 1)), *LIMITS)

    in_lockstep([partial(call, name) for name in "abc"])
    assert order == ["a", "b", "c"] * 2


@pytest.mark.parametrize("at", [0, 2])
def test_an_error_is_raised_and_the_others_are_given_up(at):
    finished = []

    def sound(name):
        _two_minima(1, 2)
        finished.append(name)

    def broken():
        minimise(partial(_parabola, 1.0), np.zeros((1, 1)), *LIMITS)
        raise ArithmeticError("broken")

    threads = threading.active_count()
    calls = [partial(sound, name) for name in "ab"]
    calls.insert(at, broken)
    with pytest.raises(ArithmeticError, match="broken"):
        in_lockstep(calls)
    assert not finished and threading.active_count() == threads


def test_an_interrupt_of_the_solver_ends_all_calls(monkeypatch):
    def interrupted(asked):
        raise KeyboardInterrupt

    monkeypatch.setattr(lockstep, "solve_jointly", interrupted)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        in_lockstep([partial(_two_minima, 1, 2), partial(_two_minima, 3, 4)])
    assert threading.active_count() == threads


def test_calls_in_lockstep_may_be_in_lockstep_themselves():
    inner = partial(in_lockstep, [partial(_two_minima, k, 0) for k in (1, 2)])
    (first, second), other = in_lockstep([inner, partial(_two_minima, 3, 4)])
    np.testing.assert_allclose([first[0][0], second[0][0], other[0][0]], [1, 2, 3], atol=1e-6)
