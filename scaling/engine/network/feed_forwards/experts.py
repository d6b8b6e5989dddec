"""Experts as modules: all of them at once, those of sorted tokens, and those of every token.

Letters in names are sizes: E experts, C places of an expert, M their hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.grouped import grouped_linear
from scalinglab.scaling.engine.network.layers import ACTIVATION
from scalinglab.scaling.model.architecture import GATED, Architecture


class Weight(nn.Module):
    """A parameter ``weight`` or ``bias`` of a shape that no module of torch has."""

    weight: Tensor
    bias: Tensor

    def __init__(self, name: str, *size: int) -> None:
        super().__init__()
        self.register_parameter(name, nn.Parameter(torch.zeros(size)))


class Experts(nn.Module):
    """The dense feed-forward in every expert at once: (..., E, C, D) to the same size."""

    def __init__(self, architecture: Architecture, experts: int, width: int) -> None:
        super().__init__()
        d = architecture.shape.width
        self.activation = ACTIVATION[architecture.activation]
        self.up = Weight("weight", experts, width, d)
        self.gate = (
            Weight("weight", experts, width, d) if architecture.activation in GATED else None
        )
        self.down = Weight("weight", experts, d, width)

    def forward(self, x_ECD: Tensor) -> Tensor:
        """See the class."""
        hidden_ECM = x_ECD @ self.up.weight.mT
        if self.gate is None:
            hidden_ECM = self.activation(hidden_ECM)
        else:
            hidden_ECM = self.activation(x_ECD @ self.gate.weight.mT) * hidden_ECM
        return hidden_ECM @ self.down.weight.mT

    def sorted(self, x_ND: Tensor, load_E: Tensor) -> Tensor:
        """The same for tokens sorted by expert, of which each expert has its load."""
        hidden_NM = grouped_linear(x_ND, self.up.weight, load_E)
        if self.gate is None:
            hidden_NM = self.activation(hidden_NM)
        else:
            gate_NM = grouped_linear(x_ND, self.gate.weight, load_E)
            hidden_NM = self.activation(gate_NM) * hidden_NM
        return grouped_linear(hidden_NM, self.down.weight, load_E)


class Shared(nn.Module):
    """Experts that all tokens pass through: one dense feed-forward."""

    def __init__(self, architecture: Architecture, width: int) -> None:
        super().__init__()
        d = architecture.shape.width
        self.activation = ACTIVATION[architecture.activation]
        self.up = nn.Linear(d, width, bias=False)
        gated = architecture.activation in GATED
        self.gate = nn.Linear(d, width, bias=False) if gated else None
        self.down = nn.Linear(width, d, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.gate is None:
            return self.down(self.activation(self.up(x)))
        return self.down(self.activation(self.gate(x)) * self.up(x))
