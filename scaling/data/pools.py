"""Several stores as one, drawn from in shares; and one store whose training tokens are noisy.

Order: which pool a sequence belongs to is a function of the shares
(`scalinglab.scaling.schedule.shares`), which window of the pool it is, of the seed and the pool's
name. Noise replaces a token by where it stands in its store: a window is the same in every epoch,
and a run with more noise replaces what one with less does.
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
        Which pool each sequence is drawn from.
    orders : mapping of str to DataOrder
        The order of each pool.
    """

    shares: Shares
    orders: Mapping[str, DataOrder]


@dataclass(frozen=True)
class Pool:
    """A store, and the share of its training tokens that is replaced by others."""

    store: TokenStore
    noise: float = 0.0

    def windows(self, windows: np.ndarray, context: int) -> np.ndarray:
        """Training windows with their targets: (count, context + 1)."""
        tokens = gather(self.store.train, windows, context)
        if not self.noise:
            return tokens
        there = places(self.store.train, windows, context)
        return noisy(tokens, there, self.noise, self.store.manifest.vocab)


def noisy(tokens: np.ndarray, places: np.ndarray, noise: float, vocab: int) -> np.ndarray:
    """Windows in which a share of the tokens is replaced, by other tokens of the vocabulary.

    Parameters
    ----------
    tokens : ndarray
        (count, context + 1); the last token of a window is the first one of the next.
    places : ndarray
        Where in the store each stands, int64.
    noise : float
        Share.
    vocab : int
        Every token is equally likely.
    """
    bits = uniform_bits(places.astype(np.uint64), "token noise")
    replaced = (bits >> np.uint64(40)) < round(noise * (1 << 24))
    other = (bits & np.uint64(0xFFFFFFFF)) * np.uint64(vocab) >> np.uint64(32)
    return np.where(replaced, other.astype(tokens.dtype), tokens)


class PooledStore:
    """Read access to several stores, which have one tokenizer.

    Parameters
    ----------
    pools : mapping of str to Pool
        Pool by its name; of one noisy store the name is empty.
    manifest : Manifest
        What they hold together.
    """

    def __init__(self, pools: Mapping[str, Pool], manifest: Manifest) -> None:
        self.pools, self.manifest = pools, manifest

    def training_batches(
        self, orders: Sequence[MixedOrder], step: int, steps: int, batch: int, context: int
    ) -> np.ndarray:
        """What each order gives to the updates from `step` on; see ``TokenStore.training_batches``."""
        drawn = [self._drawn(order, step * batch, steps * batch, context) for order in orders]
        return np.stack([d.reshape(steps, batch, context + 1) for d in drawn], 1)

    def _drawn(self, order: MixedOrder, start: int, count: int, context: int) -> np.ndarray:
        pools, places = order.shares.at(start, count)
        tokens = np.empty((count, context + 1), dtype=self.manifest.dtype)
        for number, name in enumerate(order.shares.pools):
            here = np.flatnonzero(pools == number)
            if len(here):  # their places follow each other
                windows = order.orders[name].windows_at(int(places[here[0]]), len(here))
                tokens[here] = self.pools[name].windows(windows, context)
        return tokens
