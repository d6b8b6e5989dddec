"""Several streams, which every branch reads, mixes and writes by weights of its own.

Letters in names are sizes: N streams that are read, M streams that are written.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalinglab.scaling.engine.network.layers import times
from scalinglab.scaling.engine.network.part import ADDED_BY, Stream
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.residuals.hyper import START_OF_SCALES
from scalinglab.scaling.model.residuals.hyper import Hyper as Description


class Router(nn.Module):
    """A matrix under the name ``weight``."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, columns))


@ADDED_BY.register("hyper")
class Hyper(Stream):
    """Streams (B, T, N, D): what a branch reads, and what it leaves behind."""

    def __init__(self, architecture: Architecture, layer: int) -> None:
        super().__init__(architecture, layer)
        residual = architecture.residual_part
        assert isinstance(residual, Description)  # found by the same name
        n = self.streams = residual.streams
        self.first = nn.Buffer(torch.zeros(n, device="cpu"), persistent=False)
        self.mix_bias = nn.Parameter(torch.zeros(n * n))
        self.read_bias = nn.Parameter(torch.zeros(n))
        self.write_gain = nn.Parameter(torch.ones(n))
        if residual.dynamic:
            self.scale_gain = nn.Parameter(torch.full((2,), START_OF_SCALES))
            self.router = Router(n + 2, architecture.shape.width)
        self.dynamic = residual.dynamic

    def take_number(self, branch: int) -> None:
        """See ``Stream.take_number``: it chooses the stream that the branch reads at first."""
        self.first[branch % self.streams] = 1.0

    def begin(self, x_BTD: Tensor) -> Tensor:
        """The same in all streams."""
        return x_BTD[..., None, :].expand(*x_BTD.shape[:-1], self.streams, x_BTD.shape[-1])

    def read(self, stream: Tensor) -> Tensor:
        """A sum of the streams, by weights of this branch."""
        n = self.streams
        read = self.first + self.read_bias
        if self.dynamic:
            read = read + self.scale_gain[0] * self._of_tokens(stream, n, n + 1)[..., 0]
        return torch.einsum("...n,...nd->...d", read, stream)

    def forward(self, stream: Tensor, branch_BTD: Tensor) -> Tensor:
        """See the class."""
        n = self.streams
        mixed = self.mix_bias.view(n, n)
        write: Tensor = self.write_gain
        if self.dynamic:
            mixed = mixed + self.scale_gain[0] * self._of_tokens(stream, 0, n)
            write = write + self.scale_gain[1] * self._of_tokens(stream, n + 1, n + 2)[..., 0]
        mixed_streams = stream + torch.einsum("...nm,...nd->...md", mixed, stream)
        added = branch_BTD[..., None, :] * write[..., None]
        return times(mixed_streams, self.stream_multiplier) + times(added, self.branch_multiplier)

    def end(self, stream: Tensor) -> Tensor:
        """Their mean, which the norm before the head makes equal to the paper's sum."""
        return stream.mean(-2)

    def _of_tokens(self, stream: Tensor, first: int, last: int) -> Tensor:
        """The router's output for each stream, (B, T, N, rows)."""
        normed = F.rms_norm(stream, stream.shape[-1:], eps=1e-6)
        return F.linear(normed, self.router.weight[first:last]).tanh()
