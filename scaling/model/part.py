"""The slots of a block, filled by name: a mixer of tokens, and a feed-forward.

To add one, write a file in the room of its kind (``mixers``, ``feed_forwards``) with a class of its
keys and sizes, and one in the engine's room of the same name
(``scalinglab.scaling.engine.network``) with its arithmetic; both register under one name. A file of
a person's own may do both (docs/models.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import ConfigError, historic_values, keys_of
from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    from scalinglab.scaling.model.architecture import Architecture, Norms
    from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

Size = tuple[int, ...]
P = TypeVar("P", bound="Part")
_NETWORK = "scalinglab.scaling.engine.network"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What fills a slot of every block: its keys, and what they make of a network's sizes.

    Attributes
    ----------
    name : str
        Which one.
    """

    chooser: ClassVar[str] = "name"
    choices: ClassVar[Registry[Any]]  # what may fill the slot
    slot: ClassVar[str]  # the key of the model
    # As what its tensors stand in a block; none: among the block's own, as in the oldest runs.
    module: ClassVar[str]
    # Values of `model.init` that know its tensors.
    inits: ClassVar[tuple[str, ...]] = ("normal", "small")
    # Numbers that its module tells at every validation (``scalinglab.scaling.engine.network.part``).
    told: ClassVar[tuple[str, ...]] = ()

    name: str

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """The size of each parameter by its name in the part, in the order of the module's.

        The last part of a name says what it is: ``gain``, ``bias``, ``router.weight``; all else is
        a hidden matrix, its last axis the fan-in, its first the experts where there are three.
        """
        raise self._unknown()

    def check(self, architecture: Architecture) -> None:
        """Raise `ConfigError` if it does not go with the rest of a network."""

    def check_optimizer(self, optimizer: OptimizerConfig) -> None:
        """Raise `ConfigError` if an optimizer cannot train it."""

    def idle_weights(self, architecture: Architecture) -> int:
        """Weights of its matrices in a block that one token does not pass through."""
        return 0

    def columns(self) -> dict[str, tuple[float, float]]:
        """Columns of the analysis: their values, and those of networks without such a part."""
        return {}

    def kept_floats(self, architecture: Architecture) -> float:
        """Floats that a block keeps of a token for the backward pass, beyond those of attention."""
        return 0.0

    def science(self) -> dict[str, Any]:
        """Its name and keys, as a run's identity has them: what is historic is left out."""
        historic = historic_values(type(self))
        given = vars(self).items()
        return {key: value for key, value in given if key not in historic or value != historic[key]}

    def _unknown(self) -> UserError:
        return UserError(
            f"model.{self.slot}.name = {self.name!r} is not registered here: extend=[FILE.py] names "
            "the file that registers it"
        )


@dataclass(frozen=True)
class MapFlops:
    """FLOPs of a mixer for a token and block, forward and backward, beyond those with weights.

    Attributes
    ----------
    seen : int
        With what a token may see: scores and values.
    whole : int
        The same as if it saw all tokens of the sequence.
    softmax : int
        Of the scores.
    """

    seen: int = 0
    whole: int = 0
    softmax: int = 0


def _choices(slot: str) -> Registry[Any]:
    """What may fill a slot: the parts of its room, whose arithmetic stands in the engine's."""
    room = f"{slot}s"
    return Registry(
        f"model.{slot}.name",
        f"{__package__}.{room}",
        makes_numbers=True,
        arithmetic=f"{_NETWORK}.{room}",
    )


@dataclass(frozen=True, kw_only=True)
class Mixer(Part):
    """What mixes the tokens of a sequence."""

    choices: ClassVar[Registry[type[Mixer]]] = _choices("mixer")
    slot: ClassVar[str] = "mixer"
    module: ClassVar[str] = "mixer"

    name: str = "attention"

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """See `MapFlops`; none where nothing is computed between pairs of tokens."""
        return MapFlops()


@dataclass(frozen=True, kw_only=True)
class FeedForward(Part):
    """What follows the mixer in a block, each token by itself."""

    choices: ClassVar[Registry[type[FeedForward]]] = _choices("feed_forward")
    # Why its matrices have no biases, and no norm before the last of them; empty where they may.
    no_bias: ClassVar[str] = ""
    no_inner_norm: ClassVar[str] = ""
    slot: ClassVar[str] = "feed_forward"
    module: ClassVar[str] = "feed_forward"

    name: str = "mlp"

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``: biases and norms that it does not have."""
        this = f"model.feed_forward.name = {self.name!r}"
        if self.no_bias and architecture.bias:
            raise ConfigError(f"model.bias = True clashes with {this}: {self.no_bias}")
        layers = range(architecture.shape.depth)
        if self.no_inner_norm and any(architecture.norms(layer)[1].inner for layer in layers):
            raise ConfigError(
                f"model.placement = {architecture.placement!r} clashes with {this}: it places a norm "
                f"within the feed-forward, {self.no_inner_norm}"
            )


MIXERS, FEED_FORWARDS = Mixer.choices, FeedForward.choices
MIXERS.wants(subclass_of(Mixer))
FEED_FORWARDS.wants(subclass_of(FeedForward))
SLOTS: Mapping[str, type[Part]] = {kind.slot: kind for kind in (Mixer, FeedForward)}


def default_mixer() -> Mixer:
    """What all runs had before there was a choice."""
    return MIXERS["attention"]()


def default_feed_forward() -> FeedForward:
    """What all runs had before there was a choice."""
    return FEED_FORWARDS["mlp"]()


def stored_part(kind: type[P], science: Mapping[str, Any]) -> P:
    """A part from a run's science; one that is not registered here knows its name alone."""
    registry: Registry[type[P]] = kind.choices
    if science["name"] not in registry:
        return kind(name=science["name"])
    chosen = registry[science["name"]]
    known = {key: value for key, value in science.items() if key in keys_of(chosen)}
    return chosen(**historic_values(chosen) | known)


def divided(width: int, by: int) -> int:
    """Whole where it divides: a fraction at the base of a parametrization, whose sizes are ratios."""
    quotient: Any = width / by
    return quotient if width % by else width // by


def linear_sizes(architecture: Architecture, name: str, rows: int, columns: int) -> dict[str, Size]:
    """The parameters of a matrix, with its bias where the network has biases."""
    bias: dict[str, Size] = {f"{name}.bias": (rows,)} if architecture.bias else {}
    return {f"{name}.weight": (rows, columns)} | bias


def norm_sizes(
    architecture: Architecture, name: str, wanted: bool, width: int | None = None
) -> dict[str, Size]:
    """The parameters of one of the network's norms, of its width if none is given."""
    if not wanted:
        return {}
    parts = ("gain", "bias") if architecture.norm == "layernorm" else ("gain",)
    return {f"{name}.{part}": (width or architecture.shape.width,) for part in parts}
