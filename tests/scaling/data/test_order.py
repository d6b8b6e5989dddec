"""The data order: a permutation in every epoch, the same prefix for every length, no state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.data.order import DataOrder, permute

counts = st.integers(1, 600)
seeds = st.integers(0, 2**40)


@given(counts, seeds)
def test_an_epoch_is_a_permutation(n, seed):
    assert sorted(DataOrder(n, seed).windows_at(0, n)) == list(range(n))


@given(counts, seeds, st.integers(0, 2000), st.integers(1, 300), st.data())
def test_any_cut_gives_the_same_order(n, seed, start, count, data):
    """Resuming, chunking and another batch size read the same sequence of windows."""
    order = DataOrder(n, seed)
    cut = data.draw(st.integers(0, count))
    parts = [order.windows_at(start, cut), order.windows_at(start + cut, count - cut)]
    assert np.array_equal(np.concatenate(parts), order.windows_at(start, count))


@given(counts, seeds)
def test_a_smaller_number_of_tokens_is_a_prefix_of_a_larger_one(n, seed):
    order = DataOrder(n, seed)
    assert np.array_equal(order.windows_at(0, n), order.windows_at(0, 2 * n)[:n])


@given(st.integers(20, 600), seeds, st.data())
def test_epochs_repeat_the_same_unique_windows_in_another_order(n, seed, data):
    unique = data.draw(st.integers(20, n))
    first, second, third = DataOrder(n, seed, unique).windows_at(0, 3 * unique).reshape(3, unique)
    assert set(first) == set(second) == set(third)
    assert len(set(first)) == unique
    assert not np.array_equal(first, second) and not np.array_equal(second, third)


@given(st.integers(2, 600), seeds, seeds, st.data())
def test_pools_of_unique_windows_are_nested_and_the_same_for_every_seed(n, seed, other, data):
    small = data.draw(st.integers(1, n - 1))
    large = data.draw(st.integers(small, n))

    def pool(unique, seed):
        return set(DataOrder(n, seed, unique).windows_at(0, unique))

    assert pool(small, seed) <= pool(large, other)
    assert pool(small, seed) == pool(small, other)


def test_a_pool_is_a_sample_of_the_whole_store():
    """Not its first windows, which may all come from a few files."""
    pool = DataOrder(10_000, 0, 100).windows_at(0, 100)
    assert np.histogram(pool, bins=4, range=(0, 10_000))[0].min() >= 10


def test_seeds_give_different_orders():
    orders = {tuple(DataOrder(1000, seed).windows_at(0, 1000)) for seed in range(50)}
    assert len(orders) == 50


def test_every_window_is_equally_likely_at_every_place():
    """Chi-square over seeds: which of 30 windows comes first, and which pair comes first."""
    n, seeds = 30, 4000
    pairs = np.array([DataOrder(n, seed).windows_at(0, 2) for seed in range(seeds)])
    first = np.bincount(pairs[:, 0], minlength=n)
    both = np.bincount(pairs @ [n, 1], minlength=n * n)[~np.eye(n, dtype=bool).ravel()]
    assert chi_square(first) < 58.3  # 29 degrees of freedom, 1 in 1000
    assert chi_square(both) < 1000.4  # 869 degrees of freedom, 1 in 1000


def chi_square(counts):
    return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


@pytest.mark.parametrize(("n", "key"), [(1, "a"), (2, "a"), (5, "b"), (64, "c"), (65, "c")])
def test_permute_is_a_bijection_at_the_edges_of_its_domain(n, key):
    assert sorted(permute(np.arange(n), n, key)) == list(range(n))


def test_the_order_never_changes_silently():
    """A change here is a change of every run's data: identities must change with it."""
    assert DataOrder(10, 0).windows_at(0, 12).tolist() == [3, 0, 7, 6, 2, 4, 9, 5, 8, 1, 4, 2]
    order = DataOrder(1_000_000, 7)
    assert order.windows_at(2_999_998, 4).tolist() == [304121, 567801, 821811, 751673]
    assert DataOrder(1_000, 1, unique=4).windows_at(2, 6).tolist() == [950, 915, 950, 46, 830, 915]
