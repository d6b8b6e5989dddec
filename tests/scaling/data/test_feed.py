"""A feed gives exactly what is asked for, has it ready if that was expected, and holds little."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.data.feed import NAME, Feed

PATIENCE = 20.0  # seconds for a thread to come to it


def tokens(step, steps):
    """The step itself is its tokens."""
    return np.arange(step, step + steps)[:, None] * [1, -1]


class Source:
    """Tokens that are held back until they are let go; remembers who asked for what."""

    def __init__(self):
        self.asked, self.threads = [], []
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()
        self.busy = threading.Lock()
        self.living = weakref.WeakSet()
        self.most = 0

    def __call__(self, step, steps):
        assert self.busy.acquire(blocking=False), "two at once"
        try:
            self.most = max(self.most, len(self.living))
            self.asked.append((step, steps))
            self.threads.append(threading.current_thread())
            self.begun.set()
            assert self.go.wait(PATIENCE)
            found = Held(tokens(step, steps))
            self.living.add(found)
            return found
        finally:
            self.busy.release()


class Held(np.ndarray):
    """An array whose life can be watched, with all views of it."""

    def __new__(cls, values):
        return values.view(cls)

    __hash__ = object.__hash__


def threads():
    return [t for t in threading.enumerate() if t.name.startswith(NAME)]


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def feed(source):
    feed = Feed(source)
    yield feed
    source.go.set()
    feed.close()


# (steps skipped before it, steps, where the next is expected from its end on, and how long)
TAKES = st.lists(
    st.tuples(st.integers(-5, 5), st.integers(1, 9), st.integers(-2, 2), st.integers(0, 9)),
    max_size=20,
)


@given(TAKES)
def test_any_takes_after_any_guesses_give_their_own_tokens(takes):
    feed, step = Feed(tokens), 100
    for skipped, steps, apart, length in takes:
        step += skipped
        np.testing.assert_array_equal(feed.take(step, steps), tokens(step, steps))
        step += steps
        if length:
            feed.expect(step + apart, length)
    feed.close()


def test_what_is_expected_is_fetched_before_it_is_asked_for(feed, source):
    feed.expect(3, 2)
    assert source.begun.wait(PATIENCE)
    np.testing.assert_array_equal(feed.take(3, 2), tokens(3, 2))
    assert source.asked == [(3, 2)]
    assert source.threads[0] is not threading.current_thread()


def test_nobody_waits_for_an_expectation(feed, source):
    source.go.clear()
    feed.expect(3, 2)  # returns, though nothing can be fetched yet
    assert source.begun.wait(PATIENCE) and not source.living
    source.go.set()
    np.testing.assert_array_equal(feed.take(3, 2), tokens(3, 2))


@pytest.mark.parametrize(
    ("steps", "asked"),
    [(1, [(5, 4)]), (4, [(5, 4)]), (6, [(5, 4), (9, 2)])],
    ids=["shorter", "as expected", "longer"],
)
def test_of_a_wrong_length_only_what_is_missing_is_fetched(feed, source, steps, asked):
    feed.expect(5, 4)
    np.testing.assert_array_equal(feed.take(5, steps), tokens(5, steps))
    assert source.asked == asked


def test_a_guess_serves_once(feed, source):
    feed.expect(5, 4)
    feed.take(5, 4)[:] = 0  # whose it is now
    np.testing.assert_array_equal(feed.take(5, 4), tokens(5, 4))


def test_an_error_of_the_thread_is_the_callers():
    feed = Feed(lambda step, steps: tokens(step, steps) if step else 1 / 0)
    feed.expect(0, 3)
    with pytest.raises(ZeroDivisionError):
        feed.take(0, 3)
    feed.expect(0, 3)
    np.testing.assert_array_equal(feed.take(1, 3), tokens(1, 3))  # a wrong guess's is nobody's
    feed.expect(4, 1)
    np.testing.assert_array_equal(feed.take(4, 1), tokens(4, 1))  # and it goes on
    feed.expect(0, 1)
    feed.close()


def test_one_chunk_is_held_beside_the_taken_however_wrong_the_guesses(feed, source):
    """And two are never fetched at once (`Source` sees to it)."""
    taken = feed.take(0, 2)
    for step in range(2, 30):
        feed.expect(step * 3, 2)
        if step % 5 == 0:
            taken = feed.take(step, 2)
    gc.collect()
    assert source.most == 1  # while another is fetched there is the taken one
    assert len(source.living) == 2 and len(taken) == 2


def test_the_thread_begins_with_an_expectation_and_ends_with_the_feed(source):
    feed = Feed(source)
    feed.take(0, 2)
    assert not threads()
    feed.expect(2, 2)
    assert len(threads()) == 1
    feed.expect(4, 2)
    assert len(threads()) == 1
    feed.close()
    assert not threads()
    feed.close()
    np.testing.assert_array_equal(feed.take(4, 2), tokens(4, 2))  # without it


def test_the_thread_ends_when_nobody_has_the_feed():
    feed = Feed(tokens)
    feed.expect(0, 2)
    del feed
    gc.collect()
    end = time.monotonic() + PATIENCE
    while threads() and time.monotonic() < end:
        time.sleep(0.001)
    assert not threads()
