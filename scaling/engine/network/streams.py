"""The stream between blocks, as measurements and probes look at it."""

from __future__ import annotations

from torch import Tensor, nn

from scalinglab.scaling.engine.network.part import Stream


def stream_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The stream in a block's output, without its addition to the objective."""
    return output[0] if isinstance(output, tuple) else output


def read_by_head(block: nn.Module, output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The input or output of a block as the head would read it, (B, T, D).

    Several streams become one as at the end of the network.
    """
    stream = stream_of(output)
    residual = getattr(block, "attention_residual", None)
    return residual.end(stream) if isinstance(residual, Stream) else stream
