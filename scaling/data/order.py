"""The order of the data: which tokens a step sees is a pure function of (seed, index).

Sequence k of a training is window ``permutation(seed, epoch)(k mod n)`` of the pool, with
``epoch = k div n``. So the order is the same for any device count, micro-batch or packing, a
smaller D is a prefix of a larger D, and resuming needs one integer.

>>> order = DataOrder(windows=10, seed=0)
>>> sorted(order.windows_at(0, 10).tolist()) == list(range(10))
True
"""

from __future__ import annotations

import hashlib

import numpy as np

ROUNDS = 6  # of the Feistel network; a SHA-256 digest, taken twice, gives the keys of eight


class DataOrder:
    """The order of one training over a pool of windows.

    Parameters
    ----------
    windows : int
        Windows in the training part of the store.
    seed : int or str
        Seed of the order; for one of several pools it contains the pool's name.
    unique : int, optional
        Use only this many windows, the same ones for every seed: a random sample of the store,
        and a larger sample contains a smaller one. Default: all.
    """

    def __init__(self, windows: int, seed: int | str, unique: int | None = None) -> None:
        self.windows = windows
        self.seed = seed
        self.unique = windows if unique is None else unique

    def windows_at(self, start: int, count: int) -> np.ndarray:
        """Window numbers of the sequences ``start .. start + count - 1``, int64 (count,)."""
        sequence = np.arange(start, start + count, dtype=np.uint64)
        epochs, places = np.divmod(sequence, np.uint64(self.unique))
        chosen = np.empty(count, dtype=np.uint64)
        for epoch in np.unique(epochs):
            in_epoch = epochs == epoch
            salt = f"epoch {epoch} of seed {self.seed}"
            chosen[in_epoch] = permute(places[in_epoch], self.unique, salt)
        if self.unique < self.windows:  # last and without the seed: all seeds share the sample
            chosen = permute(chosen, self.windows, "pool")
        return chosen.astype(np.int64)


class PassOrder(DataOrder):
    """The order over weighted documents: each epoch is a different pass over them.

    Window i of pass p has the number ``p * windows + i`` (`scalinglab.scaling.data.excerpt`).
    """

    def windows_at(self, start: int, count: int) -> np.ndarray:
        """As of a `DataOrder`, in the pass of each sequence."""
        passes = np.arange(start, start + count, dtype=np.int64) // self.windows
        return passes * self.windows + super().windows_at(start, count)


def permute(places: np.ndarray, n: int, key: str) -> np.ndarray:
    """Images of `places` under the permutation of 0..n-1 that `key` names.

    A Feistel network permutes a power of four >= n; walking its cycle until the value is below n
    makes it a permutation of n values (Black and Rogaway, 2002). On average fewer than four turns.
    """
    half = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
    keys = np.frombuffer(hashlib.sha256(key.encode()).digest() * 2, dtype=np.uint64)[:ROUNDS]
    value = _feistel(places.astype(np.uint64), half, keys)
    outside = value >= n
    while outside.any():
        value[outside] = _feistel(value[outside], half, keys)
        outside = value >= n
    return value


def uniform_bits(places: np.ndarray, key: str) -> np.ndarray:
    """64 random bits of each place, a function of it and of `key`; uint64."""
    salt = np.frombuffer(hashlib.sha256(key.encode()).digest(), dtype=np.uint64)
    return _mix(_mix(places ^ salt[0]) + salt[1])


def _feistel(value: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = value >> half, value & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << half) | right


def _mix(x: np.ndarray) -> np.ndarray:
    """The finalizer of SplitMix64 (Steele et al., 2014): every input bit reaches every output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
