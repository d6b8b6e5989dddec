"""The slots of the network, filled by name.

A mixer of tokens and a feed-forward are the branches of a block; a norm, a linear map and a
residual are what the whole network has of its kind, wherever it needs one.

To add one, write a file in the room of its kind (``mixers``, ``norms``) with a class of its
keys and sizes, and one in the engine's room of the same name
(``scalinglab.scaling.engine.network``) with its arithmetic; both register under one name. A file of
a person's own may do both (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.fields import historic_values, keys_of, setting
from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    from scalinglab.scaling.model.architecture import Architecture, Norms
    from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

Size = tuple[int, ...]
P = TypeVar("P", bound="Part")
_NETWORK = "scalinglab.scaling.engine.network"


class Start(tuple[int, ...]):
    """The size of a tensor whose numbers all start at a value.

    Of others gains start at one, biases at zero, and matrices are drawn.

    Parameters
    ----------
    size : tuple of int
    value : float
        At which they start.
    """

    value: float

    def __new__(cls, size: Size, value: float) -> Start:
        """See the class."""
        made = super().__new__(cls, size)
        made.value = value
        return made


@dataclass(frozen=True)
class MapFlops:
    """FLOPs of a part for a token and block, forward and backward, beyond one use of its weights.

    Attributes
    ----------
    seen : int
        With what a token may see: scores and values, sums over streams.
    whole : int
        The same as if it saw all tokens of the sequence.
    softmax : int
        Of the scores.
    """

    seen: int = 0
    whole: int = 0
    softmax: int = 0


@dataclass(frozen=True, kw_only=True)
class Part:
    """What fills a slot: its keys, and what they make of a network's sizes.

    Attributes
    ----------
    name : str
        Which one.
    """

    chooser: ClassVar[str] = "name"
    choices: ClassVar[Registry[Any]]  # what may fill the slot
    slot: ClassVar[str]  # the key of the model
    # Values of `model.init` that know its tensors; None: all.
    inits: ClassVar[tuple[str, ...] | None] = None
    # Numbers that its module tells at every validation (``scalinglab.scaling.engine.network.part``).
    told: ClassVar[tuple[str, ...]] = ()

    name: str

    @property
    def alone(self) -> str:
        """Why its runs are trained one by one and by eager steps, in words; empty: they need not.

        So it is where the sizes of what is computed follow from the tokens: such steps can neither
        be batched over members, nor be captured, nor be compiled once for all.
        """
        return ""

    def check(self, architecture: Architecture) -> None:
        """Raise `ConfigError` if it does not go with the rest of a network."""

    def check_optimizer(self, optimizer: OptimizerConfig) -> None:
        """Raise `ConfigError` if an optimizer cannot train it."""

    def columns(self) -> dict[str, tuple[float, float]]:
        """Columns of the analysis: their values, and those of networks without such a part."""
        return {}

    def idle_weights(self, architecture: Architecture) -> int:
        """Weights of its matrices in a block that one token does not pass through.

        Below zero where it passes through weights again.
        """
        return 0

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """See `MapFlops`; none where no values are multiplied with values."""
        return MapFlops()

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


@dataclass(frozen=True, kw_only=True)
class Branch(Part):
    """What fills a slot of every block, with the tensors that it has there."""

    # As what its tensors stand in a block; none: among the block's own, as in the oldest runs.
    module: ClassVar[str]
    inits: ClassVar[tuple[str, ...] | None] = ("normal", "small")

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """The size of each parameter by its name in the part, in the order of the module's.

        The last letters of a name say what it is: ``gain``, ``bias``, ``router.weight``; all else
        is a hidden matrix, its last axis the fan-in, its first the experts where there are three.
        """
        raise self._unknown()

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """Rows and columns of those matrices that ``model.linear`` makes, by name.

        A part that names none has matrices of its own, and is refused beside another
        ``model.linear`` that is meant for them.
        """
        return {}

    def matrix_sizes(self, architecture: Architecture, name: str) -> dict[str, Size]:
        """The parameters of one of `matrices`, with its bias where the network has biases."""
        rows, columns = self.matrices(architecture)[name]
        made = architecture.linear_of(self.slot).tensors(rows, columns)
        bias: dict[str, Size] = {"bias": (rows,)} if architecture.bias else {}
        return {f"{name}.{key}": size for key, size in (made | bias).items()}

    def kept_floats(self, architecture: Architecture) -> float:
        """Floats that a block keeps of a token for the backward pass, beyond those of attention."""
        return 0.0


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
class Mixer(Branch):
    """What mixes the tokens of a sequence."""

    choices: ClassVar[Registry[type[Mixer]]] = _choices("mixer")
    slot: ClassVar[str] = "mixer"
    module: ClassVar[str] = "mixer"

    name: str = "attention"

    @property
    def bounded(self) -> bool:
        """Whether no token sees one of another document; then its module is told of documents."""
        return False


@dataclass(frozen=True, kw_only=True)
class FeedForward(Branch):
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


@dataclass(frozen=True, kw_only=True)
class Norm(Part):
    """What normalises, wherever a placement asks for it: the stream, branches, inner values."""

    choices: ClassVar[Registry[type[Norm]]] = _choices("norm")
    slot: ClassVar[str] = "norm"
    absent: ClassVar[bool] = False  # whether it is none: nothing is placed
    kept_floats: ClassVar[float] = 2.0  # of a number that it is given, for the backward pass

    name: str = "rmsnorm"

    def tensors(self, width: int) -> dict[str, Size]:
        """The size of each parameter by its name, which ends with ``gain`` or ``bias``."""
        raise self._unknown()


WITHIN = ("blocks", "mixer", "feed_forward")


@dataclass(frozen=True, kw_only=True)
class Linear(Part):
    """What a matrix of the blocks is.

    Attributes
    ----------
    within : str
        Of which slot the matrices are; ``blocks``: of both.
    """

    choices: ClassVar[Registry[type[Linear]]] = _choices("linear")
    slot: ClassVar[str] = "linear"
    inits: ClassVar[tuple[str, ...] | None] = ("normal", "small")
    plain: ClassVar[bool] = False  # whether it is the linear map that any part has of its own

    name: str = "dense"
    within: str = setting("blocks", WITHIN, historic="blocks")

    def tensors(self, rows: int, columns: int) -> dict[str, Size]:
        """The size of each parameter of one matrix by its name, ``weight`` the last that is met.

        Hidden matrices, as `Branch.tensors` says; each weight is used once for a token.
        """
        raise self._unknown()

    def check_matrix(self, name: str, rows: int, columns: int) -> None:
        """Raise `ConfigError` if it cannot be made of a size."""

    def kept_floats(self, rows: int, columns: int) -> float:
        """Floats that a matrix keeps of a token for the backward pass beyond its input's."""
        return 0.0

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``: each branch that it is meant for has matrices of its kind."""
        for branch in architecture.branches:
            if architecture.linear_of(branch.slot) != self:
                continue
            matrices = branch.matrices(architecture)
            if not matrices and not self.plain:
                others = [slot for slot in WITHIN[1:] if slot != branch.slot]
                raise ConfigError(
                    f"model.linear.name = {self.name!r} clashes with model.{branch.slot}.name = "
                    f"{branch.name!r}: its matrices are its own; allowed beside it: "
                    f"model.linear.within = {others[0]!r}"
                )
            for name, (rows, columns) in matrices.items():
                self.check_matrix(name, rows, columns)


@dataclass(frozen=True, kw_only=True)
class Residual(Part):
    """How what a branch gives is added to the stream."""

    choices: ClassVar[Registry[type[Residual]]] = _choices("residual")
    slot: ClassVar[str] = "residual"

    name: str = "add"

    def tensors(self, architecture: Architecture) -> dict[str, Size]:
        """The size of each parameter that a branch of a block has of it, as `Branch.tensors`."""
        return {}

    def stream_floats(self, architecture: Architecture) -> int:
        """Floats of a token in the stream between blocks."""
        return architecture.shape.width

    def kept_floats(self, architecture: Architecture) -> float:
        """Floats that a block keeps of a token for the backward pass, of both branches."""
        return 0.0


MIXERS, FEED_FORWARDS = Mixer.choices, FeedForward.choices
NORMS, LINEARS, RESIDUALS = Norm.choices, Linear.choices, Residual.choices
_KINDS: tuple[type[Part], ...] = (Mixer, FeedForward, Norm, Linear, Residual)
for _kind in _KINDS:
    _kind.choices.wants(subclass_of(_kind))
SLOTS: Mapping[str, type[Part]] = {kind.slot: kind for kind in _KINDS}


def default_mixer() -> Mixer:
    """What all runs had before there was a choice."""
    return MIXERS["attention"]()


def default_feed_forward() -> FeedForward:
    """What all runs had before there was a choice."""
    return FEED_FORWARDS["mlp"]()


def filled(kind: type[P], by: str | P) -> P:
    """The part of a slot that is filled by a name alone, or by a part."""
    return stored_part(kind, {"name": by}) if isinstance(by, str) else by


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


def norm_sizes(
    architecture: Architecture, name: str, wanted: bool, width: int | None = None
) -> dict[str, Size]:
    """The parameters of one of the network's norms, of its width if none is given."""
    if not wanted:
        return {}
    sizes = architecture.norm_part.tensors(width or architecture.shape.width)
    return {f"{name}.{key}": size for key, size in sizes.items()}
