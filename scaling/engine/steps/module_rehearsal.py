"""Two steps of a network of anybody's, tried before anything is spent on it.

What would be found only in a resumed run, in a pack or in a loss that is too good is found in about
a second: a pass that looks at later tokens, that draws from elsewhere, that keeps a state which no
checkpoint holds, or that cannot be batched over members.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.module import (
    build,
    in_words,
    logits_of,
    options_in_words,
)
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import ChunkResult, Member, State
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import ModuleNetwork, Rehearsed
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

BATCH = 2
# Parameters of networks that are not tried: two steps of them take longer than a plan may.
MOST = 100_000_000
LR = 1e-3
_DIFFERS = (
    "{}: two passes with one seed differ; what it draws must come from torch's default generator, "
    "which is seeded at each step"
)
CLOSE = (1e-3, 1e-4)  # relative and absolute difference: of a loss in a pack to that alone


def rehearse(network: ModuleNetwork) -> Rehearsed:
    """Try two steps alone, the second once more from a checkpoint, and one in a pack of two.

    Raises
    ------
    ConfigError
        If it looks at later tokens, cannot be trained, or a resumed run would be another.
    """
    if network.census.counts["n_total"] > MOST:
        return Rehearsed(alone=f"{network.target} is too large for its pack to be tried")
    with torch.random.fork_rng(devices=[]):
        try:
            return _tried(network)
        except _Failed as error:
            raise ConfigError(
                f"{_said(network)} with {options_in_words(network)}: a step of training fails: {error}"
            ) from error


def _tried(network: ModuleNetwork) -> Rehearsed:
    size = (2, 2, BATCH, network.context + 1)
    tokens = np.random.default_rng(0).integers(network.vocab, size=size)
    draws = _check_order(network, tokens[0, 0])
    first, second = (_steps(network, tokens[:, :1], (0,)) for _ in range(2))
    _check_learns(network, first[0])
    if not _equal(first, second):
        raise ConfigError(_DIFFERS.format(_said(network)))
    if not _equal(first, _resumed(network, tokens[:, :1])):
        raise ConfigError(
            f"{_said(network)}: resumed after a step it goes on otherwise; what it remembers from "
            "step to step must be a persistent buffer (register_buffer), which a checkpoint holds"
        )
    return Rehearsed(_why_alone(network, tokens, first[0], draws), draws)


def _said(network: ModuleNetwork) -> str:
    return f"model.target = {network.target!r}"


def _engine(network: ModuleNetwork, seeds: tuple[int, ...]) -> EagerEngine:
    settings = OPTIMIZERS["adamw"]()
    return EagerEngine(network, [Member(seed, settings) for seed in seeds])


def _steps(
    network: ModuleNetwork, tokens_SkBT: np.ndarray, seeds: tuple[int, ...]
) -> tuple[ChunkResult, State]:
    engine = _engine(network, seeds)
    return _train(engine, tokens_SkBT), engine.state(0)


def _train(engine: EagerEngine, tokens_SkBT: np.ndarray) -> ChunkResult:
    try:
        return engine.train(tokens_SkBT, np.full(tokens_SkBT.shape[:2], LR), Tensor.backward)
    except ConfigError:
        raise
    except Exception as error:  # whatever the code of somebody else does
        raise _Failed(in_words(error)) from error


class _Failed(Exception):
    """What a step of a network of somebody else has raised."""


def _resumed(network: ModuleNetwork, tokens: np.ndarray) -> tuple[ChunkResult, State]:
    """The two steps, with a checkpoint in between."""
    engine, again = _engine(network, (0,)), _engine(network, (0,))
    one = _train(engine, tokens[:1])
    try:
        engine.evaluate(tokens[0, 0])  # which leaves no trace
    except Exception as error:
        raise _Failed(f"validation: {in_words(error)}") from error
    again.load(0, engine.state(0), 1)
    two = _train(again, tokens[1:])
    losses = np.concatenate([one.loss, two.loss])
    return ChunkResult(losses, np.concatenate([one.grad_norm, two.grad_norm])), again.state(0)


def _equal(one: tuple[ChunkResult, State], other: tuple[ChunkResult, State]) -> bool:
    same = np.array_equal(one[0].loss, other[0].loss, equal_nan=True)
    return same and all(torch.equal(value, other[1][key]) for key, value in one[1].items())


def _check_learns(network: ModuleNetwork, result: ChunkResult) -> None:
    if not np.isfinite(result.loss).all():
        raise ConfigError(
            f"{_said(network)} with {options_in_words(network)}: the loss of its first steps is "
            f"{result.loss[:, 0].tolist()}; its initial weights are to give finite logits"
        )
    if not result.grad_norm.all():
        raise ConfigError(f"{_said(network)}: no gradient reaches its parameters")


@torch.no_grad()
def _check_order(network: ModuleNetwork, tokens_BT: np.ndarray) -> bool:
    """Refuse a network that sees what it is to predict; whether its training pass draws."""
    module = build(network, 0)
    given = torch.from_numpy(tokens_BT[:, :-1].copy())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module(given)
    draws = not torch.equal(before, torch.get_rng_state())
    module.eval()
    other = given.clone()
    other[:, -1] = (other[:, -1] + 1) % network.vocab
    one, again, two = (_logits(module, t)[:, :-1] for t in (given, given, other))
    if not torch.equal(one.nan_to_num(), again.nan_to_num()):
        raise ConfigError(_DIFFERS.format(_said(network)))
    if network.context > 1 and float((one - two).abs().max()) > 1e-3 * float(one.abs().max()):
        raise ConfigError(
            f"{_said(network)} looks ahead: another last token changes the logits of tokens before it; "
            "a language model's logits at a token depend on it and those before (a causal mask, "
            "padding on the left alone)"
        )
    return draws


def _logits(module: nn.Module, tokens_BT: Tensor) -> Tensor:
    torch.manual_seed(0)
    logits: Tensor = logits_of(module(tokens_BT))
    return logits.float()


def _why_alone(network: ModuleNetwork, tokens: np.ndarray, alone: ChunkResult, draws: bool) -> str:
    """Why it is no member of packs; empty if a pack gives what it gives alone."""
    if draws:
        return f"{network.target} draws random numbers in its forward pass"
    if buffers := network.census.buffers:
        return f"{network.target} has buffers that a checkpoint holds ({', '.join(buffers)})"
    try:
        together = _train(_engine(network, (1, 0)), tokens[:, [1, 0]])
    except _Failed as error:
        return f"{network.target} cannot be batched over runs ({error})"
    if not np.allclose(together.loss[:, 1], alone.loss[:, 0], *CLOSE):
        return f"{network.target} computes otherwise in a pack than alone"
    return ""
