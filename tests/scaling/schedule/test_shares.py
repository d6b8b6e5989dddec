"""Which pool a sequence is drawn from: any cut gives the same, and shares are kept to a sequence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.schedule.pieces import Piece, prefix, shared_by_all
from scalinglab.scaling.schedule.shares import MOST_SEQUENCES, Shares

NAMES = "abcdef"


@st.composite
def mixtures(draw, pools=st.integers(1, 5)):
    """Pool -> pieces of its share: constant and linear ones, some shares zero."""
    names = NAMES[: draw(pools)]
    corner = st.lists(st.integers(0, 5), min_size=len(names), max_size=len(names))

    def shares():
        whole = draw(corner.filter(any))
        return [part / sum(whole) for part in whole]

    pieces, before = {name: [] for name in names}, shares()
    for _ in range(draw(st.integers(1, 4))):
        steps = draw(st.integers(1, 40))
        start = draw(st.sampled_from([before, shares()]))
        before = draw(st.sampled_from([start, shares()]))
        for name, a, b in zip(names, start, before, strict=True):
            pieces[name].append(Piece("linear" if a != b else "constant", steps, a, b))
    return pieces


def steps_of(mixture):
    return sum(piece.steps for piece in next(iter(mixture.values())))


@given(mixtures(), st.integers(1, 9), st.data())
def test_any_cut_gives_the_same_pools_and_places(mixture, batch, data):
    """Resuming, chunking, and any share of a batch that a process takes."""
    total = steps_of(mixture) * batch
    whole = Shares(mixture, batch).at(0, total)
    start = data.draw(st.integers(0, total))
    count = data.draw(st.integers(0, total - start))
    part = Shares(mixture, batch).at(start, count)
    for a, b in zip(whole, part, strict=True):
        assert np.array_equal(a[start : start + count], b)


@given(mixtures(), st.integers(1, 9))
def test_places_of_a_pool_count_up_and_what_was_drawn_is_known(mixture, batch):
    shares, total = Shares(mixture, batch), steps_of(mixture) * batch
    pools, places = shares.at(0, total)
    for number in range(len(shares.pools)):
        assert places[pools == number].tolist() == list(range((pools == number).sum()))
    for k in {0, 1, total // 3, total}:
        counts = np.bincount(pools[:k], minlength=len(shares.pools))
        assert shares.drawn(k) == dict(zip(shares.pools, counts.tolist(), strict=True))


@given(mixtures(), st.integers(1, 9))
def test_each_pool_is_drawn_as_its_share_says_at_every_moment(mixture, batch):
    shares, steps = Shares(mixture, batch), steps_of(mixture)
    pools, _ = shares.at(0, steps * batch)
    for number, name in enumerate(shares.pools):
        drawn = np.cumsum(pools == number)
        wanted = np.cumsum(np.repeat(weights(mixture[name]), batch))
        assert np.abs(drawn - wanted).max() <= len(shares.pools)
        never = np.repeat(weights(mixture[name]), batch) == 0
        assert not (pools[never] == number).any()


def weights(pieces):
    """The share of each step."""
    return np.concatenate(
        [p.start + (p.end - p.start) * (np.arange(p.steps) + 0.5) / p.steps for p in pieces]
    )


@given(mixtures(), mixtures(), st.integers(1, 9))
def test_equal_prefixes_are_equal_orders(one, other, batch):
    """Also where a constant share is written as one piece or as several."""
    if set(one) != set(other):
        return
    joined = {name: [*one[name], *other[name]] for name in one}
    shared = shared_by_all(list(one.values()), list(joined.values()))
    assert all(prefix(one[n], shared) == prefix(joined[n], shared) for n in one)
    a, b = (Shares(mixture, batch).at(0, shared * batch) for mixture in (one, joined))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert shared == steps_of(one)


def test_one_pool_is_drawn_in_order():
    pools, places = Shares({"a": [Piece("constant", 5, 1.0, 1.0)]}, 2).at(3, 4)
    assert pools.tolist() == [0] * 4 and places.tolist() == [3, 4, 5, 6]


def test_a_batch_holds_the_shares_where_they_divide_it():
    thirds = {
        n: [Piece("constant", 99, s, s)] for n, s in zip("abc", (0.5, 0.25, 0.25), strict=True)
    }
    pools, _ = Shares(thirds, 8).at(0, 99 * 8)
    assert {tuple(np.bincount(row, minlength=3)) for row in pools.reshape(99, 8)} == {(4, 2, 2)}


@pytest.mark.parametrize("share", [1e-6, 1 / 3, 0.5, 1 - 1e-6])
def test_shares_hold_at_the_end_of_the_longest_run(share):
    steps, batch = MOST_SEQUENCES // 4096, 4096
    mixture = {"a": share, "b": 1 - share}
    shares = Shares({n: [Piece("constant", steps, s, s)] for n, s in mixture.items()}, batch)
    pools, places = shares.at(MOST_SEQUENCES - 1000, 1000)
    assert (places >= 0).all() and set(pools) <= {0, 1}
    assert shares.drawn(MOST_SEQUENCES)["a"] == pytest.approx(MOST_SEQUENCES * share, rel=0.1)


def test_the_order_never_changes_silently():
    """A change here is a change of every mixed run's data: identities must change with it."""
    mixture = {
        "a": [Piece("constant", 3, 0.6, 0.6), Piece("linear", 4, 0.6, 0.1)],
        "b": [Piece("constant", 3, 0.3, 0.3), Piece("linear", 4, 0.3, 0.2)],
        "c": [Piece("constant", 3, 0.1, 0.1), Piece("linear", 4, 0.1, 0.7)],
    }
    pools, _ = Shares(mixture, 5).at(0, 35)
    assert "".join(NAMES[p] for p in pools) == GOLDEN


GOLDEN = "abacaababaabacaababacabcacbaccbaccc"
