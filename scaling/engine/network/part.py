"""The arithmetic of the parts of a network: a module of each, found by its name.

A mixer maps normalised tokens (B, T, D), with the tables (T, K) of rotary positions, to its
addition to the stream; if its description says ``bounded``, it is also given the number of each
token's document in its sequence, (B, T). A feed-forward maps tokens (B, T, D); it may return a
second value, a scalar that the objective adds to the loss. The constructors of both take the
architecture and the number of the block, and draw nothing at random; their parameters are those of
their description (``scalinglab.scaling.model.part``), in its order. A part whose description names
numbers in ``told`` has a method ``tell`` that computes them from tokens.

The constructor of a norm takes its description and a width; of a linear map its description,
columns, rows and whether it has a bias; of a `Stream`, the arithmetic of a residual, the
architecture and the layer.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import Branch, Linear, Norm
from scalinglab.scaling.registry import Registry

Build = Callable[[Architecture, int], nn.Module]
MIXED_BY: Registry[Build] = Registry("model.mixer.name", f"{__package__}.mixers")
FED_BY: Registry[Build] = Registry("model.feed_forward.name", f"{__package__}.feed_forwards")
NORMED_BY: Registry[Callable[[Norm, int], nn.Module]] = Registry(
    "model.norm.name", f"{__package__}.norms"
)
MULTIPLIED_BY: Registry[Callable[[Linear, int, int, bool], nn.Module]] = Registry(
    "model.linear.name", f"{__package__}.linears"
)


class Stream(nn.Module):
    """The rule that adds a branch's output to the stream, which may be any tensor (B, T, ...)."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__()
        self.stream_multiplier = architecture.stream_multiplier
        self.branch_multiplier = architecture.residual_multiplier

    def forward(self, stream: Tensor, branch_BTD: Tensor) -> Tensor:
        """The stream after a branch."""
        raise NotImplementedError

    def take_number(self, branch: int) -> None:
        """Take the number of its branch in the network, from 0, two a block; once, when built."""

    def begin(self, x_BTD: Tensor) -> Tensor:
        """The stream before the first block, of the embedded tokens."""
        return x_BTD

    def read(self, stream: Tensor) -> Tensor:
        """The input of a branch, (B, T, D), before its norm."""
        return stream

    def end(self, stream: Tensor) -> Tensor:
        """The input of the final norm, (B, T, D)."""
        return stream


ADDED_BY: Registry[Callable[[Architecture, int], Stream]] = Registry(
    "model.residual.name", f"{__package__}.residuals"
)


def norm(architecture: Architecture, is_placed: bool, width: int | None = None) -> nn.Module:
    """The architecture's norm, of its width if none is given; the identity if it is not placed."""
    if not is_placed:
        return nn.Identity()
    part = architecture.norm_part
    return NORMED_BY[part.name](part, width or architecture.shape.width)


def linear(architecture: Architecture, branch: Branch, name: str) -> nn.Module:
    """One of the matrices that ``model.linear`` makes of a branch (``Branch.matrices``)."""
    part, (rows, columns) = (
        architecture.linear_of(branch.slot),
        branch.matrices(architecture)[name],
    )
    return MULTIPLIED_BY[part.name](part, columns, rows, architecture.bias)


def fill(block: nn.Module, module: str, part: nn.Module) -> nn.Module:
    """Add a part to a block under its name, and return the part."""
    if module:
        block.add_module(module, part)
    else:  # among the block's own, as in the oldest checkpoints
        for name, child in part.named_children():
            block.add_module(name, child)
    return part
