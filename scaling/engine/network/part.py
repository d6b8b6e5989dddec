"""The arithmetic of what fills the slots of a block: a module of each, found by its name.

A mixer maps normalised tokens (B, T, D), with the tables (T, K) of rotary positions, to what it
adds to the stream. A feed-forward maps tokens (B, T, D); it may give a second value, a scalar that
the objective adds to the loss. Both are made of the architecture and the number of the block, and
draw nothing at random; their parameters are those of their description
(``scalinglab.scaling.model.part``), in its order. A part whose description names numbers in
``told`` has a method ``tell`` that gives them of the tokens that it is given.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.registry import Registry

Build = Callable[[Architecture, int], nn.Module]
MIXED_BY: Registry[Build] = Registry("model.mixer.name", f"{__package__}.mixers")
FED_BY: Registry[Build] = Registry("model.feed_forward.name", f"{__package__}.feed_forwards")


def fill(block: nn.Module, module: str, part: nn.Module) -> nn.Module:
    """Make a part's parameters those of a block, under its name; the part."""
    if module:
        block.add_module(module, part)
    else:  # among the block's own, as in the oldest checkpoints
        for name, child in part.named_children():
            block.add_module(name, child)
    return part
