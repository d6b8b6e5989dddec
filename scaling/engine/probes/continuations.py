"""Probabilities of continuations of contexts, by a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from scalinglab.scaling.engine.probes.model import Model

TOKENS_AT_ONCE = 4_096
Pair = tuple[Sequence[int], Sequence[int]]  # context, continuation


@dataclass(frozen=True)
class Scored:
    """A continuation with its probability by a model.

    Attributes
    ----------
    log_p : ndarray
        Log probability of each of its tokens, float64.
    is_greedy : bool
        Whether each is the most probable one, so that greedy generation gives it.
    """

    log_p: np.ndarray
    is_greedy: bool

    @property
    def loss(self) -> float:
        """Nats of the whole continuation."""
        return float(-self.log_p.sum())


@torch.no_grad()
def scored(
    model: Model,
    pairs: Sequence[Pair],
    go_on: Callable[[], None] = lambda: None,
    temperature: float = 1.0,
) -> list[Scored]:
    """Log probabilities of continuations; each after its context, which attention is causal to.

    Shorter ones are filled up behind their ends, where no token of theirs sees it.
    """
    longest = max(len(context) + len(rest) for context, rest in pairs)
    size = max(1, TOKENS_AT_ONCE // longest)
    found: list[Scored] = []
    for start in range(0, len(pairs), size):
        go_on()
        part = pairs[start : start + size]
        tokens = np.zeros((len(part), longest - 1), np.int64)
        for row, (context, rest) in enumerate(part):
            whole = [*context, *rest][:-1]
            tokens[row, : len(whole)] = whole
        logits_BTV = model.of_tokens(torch.from_numpy(tokens).to(model.device)).double()
        log_p_BTV = (logits_BTV / temperature).log_softmax(-1).cpu()
        for row, (context, rest) in enumerate(part):
            places = log_p_BTV[row, len(context) - 1 : len(context) - 1 + len(rest)]
            targets = torch.tensor(rest)
            own = places.gather(-1, targets[:, None])[:, 0]
            found.append(Scored(own.numpy(), bool((places.argmax(-1) == targets).all())))
    return found
