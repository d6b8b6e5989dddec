"""The coordinate check: how far a model moves in a few steps, against width or depth.

In a parametrization that transfers, a coordinate of the last hidden state moves equally far at
every shape; where it moves further the larger the model, the best learning rate falls with size
(arXiv 2203.03466, appendix D.1; 2505.01618, figure 2). The last state is a sum over all tensors, so
one tensor that moves too far can hide in it: each is watched by its own size, too.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.module import build, logits_of
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.engine import Member, State
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import PARAMETRIZATIONS, Architecture
from scalinglab.scaling.model.dial import network_of
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.options import ModelConfig, ModuleConfig, NetworkConfig
from scalinglab.scaling.model.parametrization import VECTORS, check_optimizer, role_of
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.records import machine
from scalinglab.scaling.run.memory import size_in_words, training_bytes
from scalinglab.scaling.run.step_options import StepOptions

VOCAB, BATCH = 32, 8
ENDS = (0,)  # of its tokens, what ends a document where the network stays within them


@dataclass(frozen=True)
class CoordinateCheck:
    """The compared models. The first width and depth are the base.

    Attributes
    ----------
    widths, depths : sequence of int
        Widths at the first depth, and depths at the first width.
    parametrizations : sequence of str
        Which ones.
    model : NetworkConfig
        All else about the network. One of anybody's says in ``base_options`` which of its options
        make it wider: widths are values of the first, the others go in proportion.
    optimizer : OptimizerConfig
        With its LR, which is the base's.
    steps, seeds : int
        Updates on one batch of tokens without structure, and initial weights averaged over.
    """

    widths: Sequence[int]
    depths: Sequence[int]
    parametrizations: Sequence[str]
    model: NetworkConfig
    optimizer: OptimizerConfig
    steps: int = 4
    seeds: int = 3


def coordinate_check(check: CoordinateCheck) -> list[dict[str, Any]]:
    """Train each shape a few steps.

    Returns
    -------
    list of dict
        ``parametrization``, ``axis`` (width or depth), ``width``, ``depth``; the mean absolute
        change of a coordinate of the last hidden state, ``hidden``, and of the ``logits``; and
        ``tensors``, name -> how far each tensor moved in its natural size (`tensor_movement`).
        Tensors of the same place in all blocks are one, ``blocks.*.up.weight``: their mean.

    Raises
    ------
    ConfigError
        If a shape or an optimizer is not possible, before anything is trained.
    """
    _check(check)
    cells = [
        (name, axis, value, _network(check, name, axis, value))
        for name in check.parametrizations
        for axis, values in (("width", check.widths), ("depth", check.depths))
        if len(values) > 1
        for value in values
    ]
    for name in check.parametrizations:
        check_optimizer(name, check.optimizer)
    for *_, network in cells:
        _check_memory(check, network)
    return [
        {
            "parametrization": name,
            "axis": axis,
            **({"width": check.widths[0], "depth": check.depths[0]} | {axis: value}),
            **_movement(check, network),
        }
        for name, axis, value, network in cells
    ]


def _check(check: CoordinateCheck) -> None:
    for key in ("steps", "seeds"):
        if getattr(check, key) < 1:
            raise ConfigError(f"{key} = {getattr(check, key)}: allowed is 1 or more")
    if check.optimizer.lr is None:
        raise ConfigError("optimizer.lr is not set: a coordinate check needs the base's")
    if not check.parametrizations:
        raise ConfigError(
            f"parametrizations = []: allowed are one or more of {', '.join(PARAMETRIZATIONS)}"
        )
    sizes = (len(check.widths), len(check.depths))
    if min(sizes) < 1 or max(sizes) < 2:
        raise ConfigError(
            f"widths = {check.widths}, depths = {check.depths}: nothing to compare; "
            "allowed are two or more of one of them, and a base of the other"
        )


def _check_memory(check: CoordinateCheck, network: Network) -> None:
    """All seeds of a shape are trained at once, each with its weights before and after."""
    memory = machine.memory_bytes()
    needed = training_bytes(network, BATCH, check.seeds, check.optimizer.name)
    if needed > memory:
        raise ConfigError(
            f"{size_in_words(network)}, seeds = {check.seeds}: "
            f"training takes about {needed / 1e9:.3g} GB, the machine has "
            f"{memory / 1e9:.3g} GB; give smaller widths, depths or seeds"
        )


def _network(check: CoordinateCheck, name: str, axis: str, value: int) -> Network:
    if isinstance(check.model, ModuleConfig):
        return _module_network(check.model, name, check.widths[0], value)
    assert isinstance(check.model, ModelConfig)
    base: dict[str, Any] = {"width": check.widths[0], "depth": check.depths[0]}
    model = dataclasses.replace(
        check.model,
        parametrization=name,
        base_width=base["width"],
        base_depth=base["depth"],
        **base | {axis: value},
    )
    return network_of(model, VOCAB)


def _module_network(model: ModuleConfig, name: str, base: int, value: int) -> Network:
    """A network that somebody else wrote at one width, with its base at the first."""
    if not model.base_options:
        raise ConfigError(
            "model.base_options is not set: it names the options that make model.target wider, "
            "as in model.base_options.width=64; widths are values of the first, others go in "
            "proportion"
        )
    at = {width: _in_proportion(model.base_options, width) for width in (base, value)}
    scaled = dataclasses.replace(
        model,
        options={**model.options, **at[value]},
        parametrization=name,
        base_options=at[base] if name != "sp" else {},
        decay_rule=model.decay_rule if name != "sp" else "product",
    )
    return network_of(scaled, VOCAB)


def _in_proportion(options: Mapping[str, Any], width: int) -> dict[str, int]:
    """Options times what makes the first of them a width."""
    first = next(iter(options.values()))
    wider = {key: value * width / first for key, value in options.items()}
    for key, value in wider.items():
        if not float(value).is_integer():
            raise ConfigError(
                f"widths has {width}, at which model.base_options.{key} = {options[key]} becomes "
                f"{value:g}: give widths at which it is whole"
            )
    return {key: int(value) for key, value in wider.items()}


def _movement(check: CoordinateCheck, architecture: Network) -> dict[str, Any]:
    """Mean absolute change after the steps, over seeds, tokens and coordinates; of tensors, too."""
    tokens = np.random.default_rng(0).integers(VOCAB, size=(BATCH, architecture.shape.context + 1))
    moves = _moves(check, architecture, tokens)
    before, after = [b for b, _ in moves], [a for _, a in moves]
    outputs = _Outputs(architecture)
    moved = [
        [
            float((y - x).abs().mean())
            for x, y in zip(outputs(old, tokens), outputs(new, tokens), strict=True)
        ]
        for old, new in zip(before, after, strict=True)
    ]
    hidden, logits = np.mean(moved, axis=0)
    tensors: dict[str, list[float]] = {}
    for old, new in zip(before, after, strict=True):
        for name, weights in new.items():
            place = re.sub(r"(?<=\.)\d+(?=\.)", "*", name)
            moved_by = tensor_movement(architecture, name, weights - old[name])
            tensors.setdefault(place, []).append(moved_by)
    return {
        "hidden": float(hidden),
        "logits": float(logits),
        "tensors": {place: float(np.mean(by)) for place, by in tensors.items()},
    }


def _moves(
    check: CoordinateCheck, network: Network, tokens: np.ndarray
) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """The weights of each seed before and after the steps; one by one where none pack."""
    members = [Member(seed, check.optimizer) for seed in range(check.seeds)]
    found = []
    for pack in [[m] for m in members] if network.alone else [members]:
        engine = ENGINES["eager"](network, pack, options=StepOptions(excluded=_ends(network)))
        before = [_weights(engine.state(i)) for i in range(len(pack))]
        engine.train(
            np.broadcast_to(tokens, (check.steps, len(pack), *tokens.shape)).copy(),
            np.full((check.steps, len(pack)), check.optimizer.lr),
            torch.Tensor.backward,
        )
        found += [(old, _weights(engine.state(i))) for i, old in enumerate(before)]
    return found


def _ends(network: Network) -> tuple[int, ...]:
    """The tokens that end a document, where a network asks."""
    return ENDS if isinstance(network, Architecture) and network.mixer.bounded else ()


def _weights(state: State) -> dict[str, Tensor]:
    return {
        key.removeprefix("weight/"): value.clone()
        for key, value in state.items()
        if key.startswith("weight/")
    }


def tensor_movement(architecture: Network, name: str, change: Tensor) -> float:
    """The change of a coordinate of a tensor's output for a change of the tensor.

    The root mean square of what it writes directly (gains, biases, rows of the embedding); of a
    matrix, which meets inputs of unit coordinates that are aligned with its change, the spectral
    norm times sqrt(columns / rows) (arXiv 2310.17813, condition 1). Both stay under a
    parametrization that transfers.

    Parameters
    ----------
    architecture : Network
    name : str
        Of the tensor.
    change : Tensor
        Its weights after training less those before.
    """
    if isinstance(architecture, ModuleNetwork):
        role = architecture.census.tensors[name].role
    else:
        role = role_of(name, tuple(change.shape))
    if role in (*VECTORS, "embedding", "other"):
        return float(change.square().mean().sqrt())
    if role == "kernel":
        change = change.flatten(1)
    rows, columns = change.shape[-2:]
    multiplier = architecture.head_multiplier if name.startswith("head") else 1.0
    norm = float(torch.linalg.matrix_norm(change, ord=2).mean())  # over experts
    return multiplier * norm * math.sqrt(columns / rows)


class _Outputs:
    """Last hidden state, which is what the head is given, and logits under some weights."""

    def __init__(self, network: Network) -> None:
        self.model: nn.Module
        if isinstance(network, ModuleNetwork):
            self.model, self._multiplier = build(network, 0).eval(), network.head_multiplier
            tensors = network.census.tensors.items()
            heads = [name.rpartition(".")[0] for name, t in tensors if t.role == "head"]
            self._head = self.model.get_submodule(heads[0]) if heads else None
        else:
            self.model = Transformer(network, _ends(network))
            self._multiplier, self._head = 1.0, None

    @torch.no_grad()
    def __call__(self, weights: dict[str, Tensor], tokens: np.ndarray) -> tuple[Tensor, Tensor]:
        """The loss of tokens with their targets."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])
        given = torch.from_numpy(tokens[:, :-1])
        if isinstance(self.model, Transformer):
            hidden = self.model.hidden(given)
            return hidden, self.model.logits(hidden)
        seen: list[Tensor] = []
        hook = None
        if self._head is not None:
            hook = self._head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        logits = logits_of(self.model(given)) * self._multiplier
        if hook is not None:
            hook.remove()
        # Of a head that is the embedding its input is not seen: the logits stand for it.
        return (seen or [logits])[-1], logits
