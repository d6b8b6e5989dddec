"""The parts of the network, each chosen by name for a slot.

A mixer of tokens and a feed-forward are the branches of a block. The norm, the linear map and the
residual are chosen once and used throughout the network.

To add a part, write a file in the folder of its kind (``mixers``, ``norms``) with a class of its
keys and sizes, and one in the engine's folder of the same name
(``scalinglab.scaling.engine.network``) with its arithmetic; both register under one name. A file
outside the package may do both (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.fields import historic_values, keys_of, setting
from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    from scalinglab.scaling.model.architecture import Architecture
    from scalinglab.scaling.model.placements import Norms
    from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

Size = tuple[int, ...]
P = TypeVar("P", bound="Part")
_NETWORK = "scalinglab.scaling.engine.network"


class Start(tuple[int, ...]):
    """The size of a tensor whose numbers all start at one value.

    Other gains start at one, other biases at zero, and other matrices are drawn.

    Parameters
    ----------
    size : tuple of int
    value : float
        At which they start.
    """

    value: float

    def __new__(cls, size: Size, value: float) -> Start:
        """See the class."""
        start = super().__new__(cls, size)
        start.value = value
        return start


@dataclass(frozen=True)
class MapFlops:
    """FLOPs of a part per token and block, forward and backward, beyond one use of its weights.

    Attributes
    ----------
    seen : int
        Products with what a token may see: scores and values, sums over streams.
    whole : int
        The same if every token saw all tokens of the sequence.
    softmax : int
        The softmax of the scores.
    """

    seen: int = 0
    whole: int = 0
    softmax: int = 0


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the network: the keys of one choice for a slot, and the sizes that follow.

    Attributes
    ----------
    name : str
        The name of the choice.
    """

    chooser: ClassVar[str] = "name"
    choices: ClassVar[Registry[Any]]  # what may fill the slot
    slot: ClassVar[str]  # the key of the model
    # Values of `model.init` that can draw its tensors; None: all.
    inits: ClassVar[tuple[str, ...] | None] = None
    # Names of the numbers that its module reports at every validation (see the engine's `part`).
    told: ClassVar[tuple[str, ...]] = ()

    name: str

    @property
    def alone(self) -> str:
        """Why its runs are trained alone and by eager steps; empty if they need not be.

        They must be if sizes of tensors depend on the tokens: such steps cannot be batched over
        members, captured, or compiled once for all.
        """
        return ""

    def check(self, architecture: Architecture) -> None:
        """Raise `ConfigError` if it clashes with the rest of a network."""

    def check_optimizer(self, optimizer: OptimizerConfig) -> None:
        """Raise `ConfigError` if an optimizer cannot train it."""

    def columns(self) -> dict[str, tuple[float, float]]:
        """Columns of the analysis: name -> its value, and that of networks without such a part."""
        return {}

    def idle_weights(self, architecture: Architecture) -> int:
        """Weights of its matrices in a block that one token does not pass.

        Negative if a token passes weights more than once.
        """
        return 0

    def map_flops(self, architecture: Architecture) -> MapFlops:
        """See `MapFlops`; zero if it multiplies no values with values."""
        return MapFlops()

    def science(self) -> dict[str, Any]:
        """Its name and keys in a run's science, without keys at their historic values."""
        historic = historic_values(type(self))
        return {
            key: value
            for key, value in vars(self).items()
            if key not in historic or value != historic[key]
        }

    def _unknown(self) -> UserError:
        return UserError(
            f"model.{self.slot}.name = {self.name!r} is not registered here: extend=[FILE.py] "
            "names the file that registers it"
        )


@dataclass(frozen=True, kw_only=True)
class Branch(Part):
    """A part of every block, with tensors of its own there."""

    # The prefix of its tensors in a block; empty: among the block's own, as in the oldest runs.
    module: ClassVar[str]
    inits: ClassVar[tuple[str, ...] | None] = ("normal", "small")

    def tensors(self, architecture: Architecture, norms: Norms) -> dict[str, Size]:
        """The size of each parameter by its name in the part, in the order of the module's.

        The end of a name says its role: ``gain``, ``bias``, ``router.weight``. Anything else is a
        hidden matrix, whose last axis is the fan-in, and, of three axes, the first the experts.
        """
        raise self._unknown()

    def matrices(self, architecture: Architecture) -> dict[str, tuple[int, int]]:
        """Rows and columns of the matrices that ``model.linear`` makes, by name.

        A part that names none makes its own matrices, and is refused beside a ``model.linear`` that
        is meant for them.
        """
        return {}

    def matrix_sizes(self, architecture: Architecture, name: str) -> dict[str, Size]:
        """The parameters of one of `matrices`, with its bias if the network has biases."""
        rows, columns = self.matrices(architecture)[name]
        sizes = architecture.linear_of(self.slot).tensors(rows, columns)
        bias: dict[str, Size] = {"bias": (rows,)} if architecture.bias else {}
        return {f"{name}.{key}": size for key, size in (sizes | bias).items()}

    def kept_floats(self, architecture: Architecture) -> float:
        """Floats that a block keeps per token for the backward pass, beyond those of attention."""
        return 0.0


def _choices(slot: str) -> Registry[Any]:
    """The choices for a slot: the files of its folder, with their arithmetic in the engine's."""
    room = f"{slot}s"
    return Registry(
        f"model.{slot}.name",
        f"{__package__}.{room}",
        makes_numbers=True,
        arithmetic=f"{_NETWORK}.{room}",
    )


@dataclass(frozen=True, kw_only=True)
class Mixer(Branch):
    """The part of a block that mixes the tokens of a sequence."""

    choices: ClassVar[Registry[type[Mixer]]] = _choices("mixer")
    slot: ClassVar[str] = "mixer"
    module: ClassVar[str] = "mixer"

    name: str = "attention"

    @property
    def bounded(self) -> bool:
        """Whether no token sees another document; then its module is given the documents."""
        return False


@dataclass(frozen=True, kw_only=True)
class FeedForward(Branch):
    """The part of a block that follows the mixer and maps each token by itself."""

    choices: ClassVar[Registry[type[FeedForward]]] = _choices("feed_forward")
    # Why its matrices have no biases, and no norm before the last of them; empty if they may.
    no_bias: ClassVar[str] = ""
    no_inner_norm: ClassVar[str] = ""
    slot: ClassVar[str] = "feed_forward"
    module: ClassVar[str] = "feed_forward"

    name: str = "mlp"

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``: refuses biases and norms that it does not have."""
        this = f"model.feed_forward.name = {self.name!r}"
        if self.no_bias and architecture.bias:
            raise ConfigError(f"model.bias = True clashes with {this}: {self.no_bias}")
        layers = range(architecture.shape.depth)
        if self.no_inner_norm and any(architecture.norms(layer)[1].inner for layer in layers):
            raise ConfigError(
                f"model.placement = {architecture.placement!r} clashes with {this}: it places a "
                f"norm within the feed-forward, {self.no_inner_norm}"
            )


@dataclass(frozen=True, kw_only=True)
class Norm(Part):
    """A norm, used wherever a placement puts one: on the stream, branches, or inner values."""

    choices: ClassVar[Registry[type[Norm]]] = _choices("norm")
    slot: ClassVar[str] = "norm"
    absent: ClassVar[bool] = False  # whether it is no norm, and so is placed nowhere
    kept_floats: ClassVar[float] = 2.0  # per number of its input, for the backward pass

    name: str = "rmsnorm"

    def tensors(self, width: int) -> dict[str, Size]:
        """The size of each parameter by its name, which ends with ``gain`` or ``bias``."""
        raise self._unknown()


WITHIN = ("blocks", "mixer", "feed_forward")


@dataclass(frozen=True, kw_only=True)
class Linear(Part):
    """The kind of the matrices in the blocks.

    Attributes
    ----------
    within : str
        The slot whose matrices are of this kind; ``blocks``: of both slots.
    """

    choices: ClassVar[Registry[type[Linear]]] = _choices("linear")
    slot: ClassVar[str] = "linear"
    inits: ClassVar[tuple[str, ...] | None] = ("normal", "small")
    plain: ClassVar[bool] = False  # whether it is the linear map that parts make themselves

    name: str = "dense"
    within: str = setting("blocks", WITHIN, historic="blocks")

    def tensors(self, rows: int, columns: int) -> dict[str, Size]:
        """The size of each parameter of one matrix by name; the last one applied is ``weight``.

        They are hidden matrices as in `Branch.tensors`, and a token uses each weight once.
        """
        raise self._unknown()

    def check_matrix(self, name: str, rows: int, columns: int) -> None:
        """Raise `ConfigError` if it cannot have this size."""

    def kept_floats(self, rows: int, columns: int) -> float:
        """Floats that a matrix keeps per token for the backward pass beyond its input."""
        return 0.0

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``: each branch that it is meant for must let it make the matrices."""
        for branch in architecture.branches:
            if architecture.linear_of(branch.slot) != self:
                continue
            matrices = branch.matrices(architecture)
            if not matrices and not self.plain:
                other_slot = next(slot for slot in WITHIN[1:] if slot != branch.slot)
                raise ConfigError(
                    f"model.linear.name = {self.name!r} clashes with model.{branch.slot}.name = "
                    f"{branch.name!r}: its matrices are its own; allowed beside it: "
                    f"model.linear.within = {other_slot!r}"
                )
            for name, (rows, columns) in matrices.items():
                self.check_matrix(name, rows, columns)


@dataclass(frozen=True, kw_only=True)
class Residual(Part):
    """The rule by which the output of a branch is added to the stream."""

    choices: ClassVar[Registry[type[Residual]]] = _choices("residual")
    slot: ClassVar[str] = "residual"

    name: str = "add"

    def tensors(self, architecture: Architecture) -> dict[str, Size]:
        """The size of each parameter that it adds to a branch of a block, as `Branch.tensors`."""
        return {}

    def stream_floats(self, architecture: Architecture) -> int:
        """Floats per token in the stream between blocks."""
        return architecture.shape.width

    def kept_floats(self, architecture: Architecture) -> float:
        """Floats that a block keeps per token for the backward pass, for both branches."""
        return 0.0


MIXERS, FEED_FORWARDS = Mixer.choices, FeedForward.choices
NORMS, LINEARS, RESIDUALS = Norm.choices, Linear.choices, Residual.choices
_KINDS: tuple[type[Part], ...] = (Mixer, FeedForward, Norm, Linear, Residual)
for _kind in _KINDS:
    _kind.choices.wants(subclass_of(_kind))
SLOTS: Mapping[str, type[Part]] = {kind.slot: kind for kind in _KINDS}


def default_mixer() -> Mixer:
    """The mixer of all runs before there was a choice."""
    return MIXERS["attention"]()


def default_feed_forward() -> FeedForward:
    """The feed-forward of all runs before there was a choice."""
    return FEED_FORWARDS["mlp"]()


def filled(kind: type[P], by: str | P) -> P:
    """A part: as it is, or, from a name alone, with its historic keys."""
    return stored_part(kind, {"name": by}) if isinstance(by, str) else by


def stored_part(kind: type[P], science: Mapping[str, Any]) -> P:
    """A part from a run's science; if it is not registered here, with its name alone."""
    registry: Registry[type[P]] = kind.choices
    if science["name"] not in registry:
        return kind(name=science["name"])
    chosen = registry[science["name"]]
    known = {key: value for key, value in science.items() if key in keys_of(chosen)}
    return chosen(**historic_values(chosen) | known)


def divided(width: int, by: int) -> int:
    """A whole quotient if there is one, otherwise a float: sizes at a base may be fractions."""
    quotient: Any = width / by
    return quotient if width % by else width // by


def norm_sizes(
    architecture: Architecture, name: str, is_placed: bool, width: int | None = None
) -> dict[str, Size]:
    """The parameters of one of the network's norms, empty if it is not placed.

    Its width is the network's if none is given.
    """
    if not is_placed:
        return {}
    sizes = architecture.norm_part.tensors(width or architecture.shape.width)
    return {f"{name}.{key}": size for key, size in sizes.items()}
