"""Two steps of a network that somebody else wrote, tried before compute is spent on it.

In about a second this finds mistakes that otherwise show only in a resumed run, in a pack or in a
loss that is too good: a pass that looks at later tokens, that draws from a generator of its own,
that keeps a state which no checkpoint holds, or that cannot be batched over members.
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
MOST = 100_000_000  # parameters; two steps of a larger network take longer than a plan may
LR = 1e-3
_DIFFERS = (
    "{}: two passes with one seed differ; what it draws must come from torch's default generator, "
    "which is seeded at each step"
)
CLOSE = (1e-3, 1e-4)  # relative and absolute difference of a loss in a pack from that alone


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
                f"{_target(network)} with {options_in_words(network)}: "
                f"a step of training fails: {error}"
            ) from error


def _tried(network: ModuleNetwork) -> Rehearsed:
    size = (2, 2, BATCH, network.context + 1)
    tokens = np.random.default_rng(0).integers(network.vocab, size=size)
    draws = _check_order(network, tokens[0, 0])
    alone, repeated = (_steps(network, tokens[:, :1], (0,)) for _ in range(2))
    _check_learns(network, alone[0])
    if not _are_equal(alone, repeated):
        raise ConfigError(_DIFFERS.format(_target(network)))
    if not _are_equal(alone, _resumed(network, tokens[:, :1])):
        raise ConfigError(
            f"{_target(network)}: resumed after a step it goes on otherwise; what it remembers "
            "from step to step must be a persistent buffer (register_buffer), which a checkpoint "
            "holds"
        )
    return Rehearsed(_why_alone(network, tokens, alone[0], draws=draws), draws)


def _target(network: ModuleNetwork) -> str:
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
    except Exception as error:  # the code of somebody else may raise anything
        raise _Failed(in_words(error)) from error


class _Failed(Exception):
    """An error that a step of somebody else's network raised."""


def _resumed(network: ModuleNetwork, tokens: np.ndarray) -> tuple[ChunkResult, State]:
    """The two steps, with a checkpoint in between."""
    engine, resumed = _engine(network, (0,)), _engine(network, (0,))
    first = _train(engine, tokens[:1])
    try:
        engine.evaluate(tokens[0, 0])  # which must not change the state
    except Exception as error:
        raise _Failed(f"validation: {in_words(error)}") from error
    resumed.load(0, engine.state(0), 1)
    second = _train(resumed, tokens[1:])
    losses = np.concatenate([first.loss, second.loss])
    norms = np.concatenate([first.grad_norm, second.grad_norm])
    return ChunkResult(losses, norms), resumed.state(0)


def _are_equal(steps: tuple[ChunkResult, State], repeated_steps: tuple[ChunkResult, State]) -> bool:
    (result, state), (repeated, repeated_state) = steps, repeated_steps
    return np.array_equal(result.loss, repeated.loss, equal_nan=True) and all(
        torch.equal(tensor, repeated_state[key]) for key, tensor in state.items()
    )


def _check_learns(network: ModuleNetwork, result: ChunkResult) -> None:
    if not np.isfinite(result.loss).all():
        raise ConfigError(
            f"{_target(network)} with {options_in_words(network)}: the loss of its first steps is "
            f"{result.loss[:, 0].tolist()}; its initial weights are to give finite logits"
        )
    if not result.grad_norm.all():
        raise ConfigError(f"{_target(network)}: no gradient reaches its parameters")


@torch.no_grad()
def _check_order(network: ModuleNetwork, tokens_BT: np.ndarray) -> bool:
    """Refuse a network that sees what it is to predict; returns whether its training pass draws."""
    module = build(network, 0)
    tokens = torch.from_numpy(tokens_BT[:, :-1].copy())
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module(tokens)
    draws = not torch.equal(before, torch.get_rng_state())
    module.eval()
    changed_tokens = tokens.clone()
    changed_tokens[:, -1] = (changed_tokens[:, -1] + 1) % network.vocab
    logits, repeated, changed = (
        _logits(module, batch)[:, :-1] for batch in (tokens, tokens, changed_tokens)
    )
    if not torch.equal(logits.nan_to_num(), repeated.nan_to_num()):
        raise ConfigError(_DIFFERS.format(_target(network)))
    if network.context > 1 and _differ(logits, changed):
        raise ConfigError(
            f"{_target(network)} looks ahead: another last token changes the logits of tokens "
            "before it; a language model's logits at a token depend on it and those before "
            "(a causal mask, padding on the left alone)"
        )
    return draws


def _logits(module: nn.Module, tokens_BT: Tensor) -> Tensor:
    torch.manual_seed(0)
    logits: Tensor = logits_of(module(tokens_BT))
    return logits.float()


def _differ(logits: Tensor, changed: Tensor) -> bool:
    """Whether logits differ by more than rounding: by a thousandth of the largest."""
    return float((logits - changed).abs().max()) > 1e-3 * float(logits.abs().max())


def _why_alone(
    network: ModuleNetwork, tokens: np.ndarray, alone: ChunkResult, *, draws: bool
) -> str:
    """Why it cannot be a member of packs; empty if its loss in a pack is that alone."""
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
