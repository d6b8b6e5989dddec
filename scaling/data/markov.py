"""A synthetic language whose entropy is known exactly, to check what a fit says about it.

A second-order Markov chain: each pair of symbols has its own `successors` next symbols, drawn
with Zipf weights, whose probabilities are one fixed profile of multiples of 1/SLOTS. So every
context has the same entropy, which is the irreducible loss, while the contexts' frequencies fall
off like a power law: the more data and parameters, the more contexts are learned, which is the
picture behind power laws of N and D (Michaud et al., arXiv 2303.13506).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.read_options import check_ranges

SLOTS = 64  # of a context: probabilities are multiples of 1 / 64, so that the entropy is exact


@SOURCES.register("markov")
@dataclass(frozen=True)
class MarkovSource(Source):
    """A synthetic language, a second-order Markov chain whose entropy is known exactly.

    Attributes
    ----------
    vocab : int
        Symbols V; there are V^2 contexts.
    successors : int
        Possible next symbols of a context.
    zipf : float
        Exponent with which symbols are preferred as successors.
    tokens : int
        Length of the training part.
    validation_tokens : int
        Length of the validation part, an earlier stretch of the same chain.
    seed : int
        Seed of the chain and of the walk.
    """

    vocab: int = setting(64, Within(2, 256))
    successors: int = setting(8, AT_LEAST_1)
    zipf: float = 1.0
    tokens: int = setting(8_000_000, AT_LEAST_1)
    validation_tokens: int = setting(262_145, AT_LEAST_1)
    seed: int = setting(0, AT_LEAST_0)

    def corpus(self) -> Corpus:
        """Walk the chain once; its first stretch is validation."""
        self._check()
        successors, slots = self.chain()
        tokens = self._walk(successors, slots)
        return Corpus(
            train=tokens[self.validation_tokens :],
            validation=tokens[: self.validation_tokens],
            vocab=self.vocab,
            bytes_per_token=1.0,  # a symbol counts as a byte
            facts={"entropy": profile_entropy(self.profile())},
        )

    def _check(self) -> None:
        check_ranges(self, "data.options")
        limit = min(self.vocab, SLOTS)
        if self.successors > limit:
            raise ConfigError(
                f"data.options.successors = {self.successors}: allowed is 1 to {limit}"
            )

    def profile(self) -> np.ndarray:
        """Slots out of SLOTS of each successor, most likely first: int64 (successors,)."""
        weights = 1 / np.arange(1, self.successors + 1)
        exact = weights / weights.sum() * (SLOTS - self.successors)
        counts = 1 + np.floor(exact).astype(np.int64)
        counts[: SLOTS - counts.sum()] += 1
        return counts

    def chain(self) -> tuple[np.ndarray, np.ndarray]:
        """Successors of every context, (V^2, successors), and which of them each slot means.

        Context (a, b), a before b, is row ``a * V + b``.
        """
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        preference = -self.zipf * np.log(np.arange(1, self.vocab + 1))
        # Gumbel top-k: `successors` distinct symbols with probabilities by their Zipf weights.
        scores = preference + rng.gumbel(size=(self.vocab**2, self.vocab))
        successors = np.argsort(-scores, axis=1, kind="stable")[:, : self.successors]
        successors = rng.permuted(successors, axis=1)
        return successors, np.repeat(np.arange(self.successors), self.profile())

    def _walk(self, successors: np.ndarray, slots: np.ndarray) -> np.ndarray:
        table = successors[:, slots].ravel().tolist()
        rng = np.random.Generator(np.random.Philox(key=self.seed + 2**64))
        draws = rng.integers(SLOTS, size=1000 + self.validation_tokens + self.tokens)
        V = self.vocab
        symbol, context, walk = 0, 0, bytearray(len(draws))
        for i, slot in enumerate(draws.tolist()):
            symbol = table[context * SLOTS + slot]
            context = context % V * V + symbol
            walk[i] = symbol
        return np.frombuffer(bytes(walk[1000:]), dtype=np.uint8)  # after it has forgotten its start

    def window_entropy(self, windows: np.ndarray) -> float:
        """Loss in nats per token of the perfect predictor on these very windows.

        The perfect predictor sees what a model sees: the tokens of the window. For the first
        target that is one symbol, and the one before it is averaged over.

        Parameters
        ----------
        windows : ndarray
            (count, context + 1) tokens.
        """
        windows = windows.astype(np.int64)  # the number of a pair is larger than a token
        successors, slots = self.chain()
        V = self.vocab
        conditional = np.zeros((V * V, V))  # P(next | pair)
        share = np.bincount(slots) / SLOTS
        np.put_along_axis(conditional, successors, share[None, :], axis=1)
        pairs = stationary_pairs(conditional.reshape(V, V, V))
        first_order = np.einsum("ab,abc->bc", pairs, conditional.reshape(V, V, V))
        first_order /= first_order.sum(axis=1, keepdims=True)  # P(next | one symbol)
        log_first = np.log(first_order[windows[:, 0], windows[:, 1]])
        contexts = windows[:, :-2] * V + windows[:, 1:-1]
        log_rest = np.log(conditional[contexts, windows[:, 2:]])
        return float(-(log_first.sum() + log_rest.sum()) / windows[:, 1:].size)


def stationary_pairs(conditional: np.ndarray) -> np.ndarray:
    """Stationary probabilities (V, V) of pairs (a, b) under P(c | a, b), by power iteration."""
    V = len(conditional)
    pairs = np.full((V, V), 1 / V**2)
    for _ in range(10_000):
        after = np.einsum("ab,abc->bc", pairs, conditional)
        if np.abs(after - pairs).sum() < 1e-13:
            return after
        pairs = (pairs + after) / 2  # lazy steps: a periodic chain converges too
    return pairs


def profile_entropy(profile: np.ndarray) -> float:
    """Entropy in nats of the next symbol given its context."""
    p = profile / profile.sum()
    return float(-(p * np.log(p)).sum())
