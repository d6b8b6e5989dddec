"""Several stores as one, drawn from in shares; and one store with noisy training tokens.

The pool of a sequence is a function of the shares (`scalinglab.scaling.schedule.shares`), its
window in the pool a function of the seed and the pool's name. Whether noise replaces a token is a
function of its position in the store: a window is the same in every epoch, and more noise replaces
further tokens in addition to those of less noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.order import DataOrder, uniform_bits
from scalinglab.scaling.data.store import TokenStore, gather, places
from scalinglab.scaling.schedule.shares import Shares


@dataclass(frozen=True)
class MixedOrder:
    """The order of one training over several pools.

    Attributes
    ----------
    shares : Shares
        The pool of each sequence.
    orders : mapping of str to DataOrder
        The order of each pool.
    """

    shares: Shares
    orders: Mapping[str, DataOrder]


@dataclass(frozen=True)
class Pool:
    """A store, and the share of its training tokens that are replaced."""

    store: TokenStore
    noise: float = 0.0

    def windows(self, windows: np.ndarray, context: int) -> np.ndarray:
        """Training windows with their targets: (count, context + 1)."""
        tokens = gather(self.store.train, windows, context)
        if not self.noise:
            return tokens
        positions = places(self.store.train, windows, context)
        return noisy(tokens, positions, self.noise, self.store.manifest.vocab)


def noisy(tokens: np.ndarray, places: np.ndarray, noise: float, vocab: int) -> np.ndarray:
    """Windows in which a share of the tokens is replaced by random tokens of the vocabulary.

    Parameters
    ----------
    tokens : ndarray
        (count, context + 1); the last token of a window is the first one of the next.
    places : ndarray
        Position of each token in the store, int64.
    noise : float
        The share that is replaced.
    vocab : int
        Size of the vocabulary, from which replacements are drawn uniformly.
    """
    bits = uniform_bits(places.astype(np.uint64), "token noise")
    is_replaced = (bits >> np.uint64(40)) < round(noise * (1 << 24))
    replacement = (bits & np.uint64(0xFFFFFFFF)) * np.uint64(vocab) >> np.uint64(32)
    return np.where(is_replaced, replacement.astype(tokens.dtype), tokens)


class PooledStore:
    """Read access to several stores with the same tokenizer.

    Parameters
    ----------
    pools : mapping of str to Pool
        Name -> pool; the name of a single noisy store is empty.
    manifest : Manifest
        The manifest of all of them together.
    """

    def __init__(self, pools: Mapping[str, Pool], manifest: Manifest) -> None:
        self.pools, self.manifest = pools, manifest

    def training_batches(
        self, orders: Sequence[MixedOrder], step: int, steps: int, batch: int, context: int
    ) -> np.ndarray:
        """The batches of updates from `step` on; see ``TokenStore.training_batches``."""
        drawn = [self._drawn(order, step * batch, steps * batch, context) for order in orders]
        return np.stack([d.reshape(steps, batch, context + 1) for d in drawn], 1)

    def _drawn(self, order: MixedOrder, start: int, count: int, context: int) -> np.ndarray:
        pools, places = order.shares.at(start, count)
        tokens = np.empty((count, context + 1), dtype=self.manifest.dtype)
        for number, name in enumerate(order.shares.pools):
            sequences = np.flatnonzero(pools == number)
            if len(sequences):  # they are consecutive in the order of the pool
                first_place = int(places[sequences[0]])
                windows = order.orders[name].windows_at(first_place, len(sequences))
                tokens[sequences] = self.pools[name].windows(windows, context)
        return tokens
