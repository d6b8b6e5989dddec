"""A network of anybody's: an ``nn.Module`` from tokens to logits, known by building it.

The shipped transformer has a description from which all is computed; of any other network the names
and options are known, and what else is asked (sizes, roles of tensors, FLOPs, memory) is taken from
building it on the meta device, where tensors have sizes and no numbers
(``scalinglab.scaling.engine.network.census``). That needs torch; nothing here does before it is
asked.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import Part, Size
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.registry import Registry, function

# Networks that a file registers by name; any import path will do as well.
MODELS: Registry[Callable[..., Any]] = Registry("model.target", makes_numbers=True)
MODELS.wants(function)

NAME = "module"  # of the model, in the science
# What a tensor may be said to be. `kernel`: of a convolution; `other`: multiplied in no product.
ROLES = ("embedding", "hidden", "kernel", "router", "head", "gain", "bias", "other")
CENSUS = "scalinglab.scaling.engine.network.census"
_REHEARSAL = "scalinglab.scaling.engine.steps.module_rehearsal"


@dataclass(frozen=True)
class TensorCount:
    """A parameter of a network that was built.

    Attributes
    ----------
    size : tuple of int
    role : str
        One of ``ROLES``.
    why : str
        From what the role was concluded; empty where it was stated.
    growth : float
        By what it is longer than at the base: a matrix in its fan-in, all else in its own length.
    uses : float
        Multiply-adds a token in products with it, over its weights: 1 for a matrix that each token
        passes once.
    """

    size: Size
    role: str
    why: str
    growth: float = 1.0
    uses: float = 0.0


@dataclass(frozen=True)
class Census:
    """Sizes, counts and FLOPs of a network, as they were counted after building it.

    Attributes
    ----------
    tensors : dict
        Parameters by name, those that are shared once.
    counts, flops : dict
        As ``parameter_counts`` and ``flop_parts`` give them.
    kept_floats : float
        Kept of a token for the backward pass, logits included.
    width, depth : int
        Of the embedding, and the number of modules in its longest list; 0 where there is none.
    buffers : mapping of str to tuple of int
        The size of those that a checkpoint holds.
    tied : bool
        Whether the embedding is the head's matrix, too.
    without_meta : str
        Why it could not be built without numbers; empty where it could.
    """

    tensors: Mapping[str, TensorCount]
    counts: Mapping[str, int]
    flops: Mapping[str, int]
    kept_floats: float
    width: int
    depth: int
    buffers: Mapping[str, Size] = field(default_factory=dict)
    tied: bool = False
    without_meta: str = ""


@dataclass(frozen=True)
class Rehearsed:
    """Result of the rehearsal: two steps of a network before it trains.

    Attributes
    ----------
    alone : str
        Why it cannot be a member of a pack; empty where it can.
    draws : bool
        Whether its forward pass draws random numbers.
    """

    alone: str = ""
    draws: bool = False


@dataclass(frozen=True)
class ModuleNetwork:
    """An ``nn.Module`` by its target and options.

    Attributes
    ----------
    target : str
        The name that a file registered, or an import path: ``mine.MyNet``.
    options : mapping
        Keywords of its constructor.
    context, vocab : int
        Tokens in one sequence, and size of their alphabet.
    parametrization : str
        ``sp``, or ``mup``: rates and initial scales follow the shape from a base.
    base_options : mapping
        Options at the base: those that make it wider, at the values where rates were tuned.
    decay_rule : str
        How weight decay follows the width.
    roles : mapping
        Pattern of parameter names -> role, where it is not guessed right.
    """

    target: str
    options: Mapping[str, Any]
    context: int
    vocab: int
    parametrization: str = "sp"
    base_options: Mapping[str, Any] = field(default_factory=dict)
    decay_rule: str = "product"
    roles: Mapping[str, str] = field(default_factory=dict)

    parts: ClassVar[tuple[Part, ...]] = ()
    branches: ClassVar[tuple[Part, ...]] = ()

    @classmethod
    def from_science(cls, model: Mapping[str, Any]) -> ModuleNetwork:
        """From the model in a run's science."""
        return cls(**{f.name: model[f.name] for f in fields(cls) if f.name in model})

    def science(self) -> dict[str, Any]:
        """Plain values: what is part of a run's identity."""
        return {"name": NAME, **vars(self)}

    @property
    def shape(self) -> Shape:
        """Its sizes, as far as there are such; 0 where there are not."""
        census = self.census
        return Shape(census.depth, census.width, 0, 0, self.context, self.vocab)

    @property
    def base(self) -> ModuleNetwork:
        """The network at the shape where its rates were tuned."""
        options = {**self.options, **self.base_options}
        return replace(self, options=options, base_options={}, parametrization="sp")

    @property
    def head_multiplier(self) -> float:
        """Multiplier of the logits: 1 / growth under mup where the head is the embedding, else 1.

        A head of its own has the factor in its weights and its rate.
        """
        if self.parametrization == "sp" or not self.census.tied:
            return 1.0
        tensors = self.census.tensors.values()
        return 1 / next(t.growth for t in tensors if t.role == "embedding" and t.uses)

    @property
    def census(self) -> Census:
        """Sizes, counts and FLOPs by building the network; this imports torch.

        Raises
        ------
        ConfigError
            If it cannot be built, or is no network from tokens to logits.
        """
        census: Census = _asked(CENSUS, "census", json.dumps(self.science(), sort_keys=True))
        return census

    @property
    def rehearsed(self) -> Rehearsed:
        """Result of two steps on small batches.

        Raises
        ------
        ConfigError
            If what it computes could not be trained, or not be resumed.
        """
        found: Rehearsed = _asked(
            _REHEARSAL, "rehearse", json.dumps(self.science(), sort_keys=True)
        )
        return found

    @property
    def alone(self) -> str:
        """Why it cannot be a member of a pack, in words; empty: it can."""
        return self.rehearsed.alone

    def columns(self) -> dict[str, tuple[float, float]]:
        """See ``Architecture.columns``: none."""
        return {}


Network = Architecture | ModuleNetwork


def network_from_science(model: Mapping[str, Any]) -> Network:
    """The network of a run's science."""
    if model.get("name") == NAME:
        return ModuleNetwork.from_science(model)
    return Architecture.from_science(model)


@functools.lru_cache(maxsize=256)
def _asked(module: str, question: str, science: str) -> Any:
    """Ask the engine, which is found by name as torch is: once for each network."""
    network = ModuleNetwork.from_science(json.loads(science))
    return getattr(importlib.import_module(module), question)(network)
