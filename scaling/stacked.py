"""All members' parameters as one buffer (k, P), and by name as tensors (k, ...)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StackedParameters(nn.Module):
    """All members' parameters as one buffer (k, P), and by name as parameters (k, ...).

    The parameters are views of ``weights`` and their gradients views of ``gradient``: the
    optimizer sees one tensor and autograd the ordinary ones.
    """

    def __init__(self, names: Mapping[str, torch.Size], members: int, device: str) -> None:
        super().__init__()
        size = sum(n.numel() for n in names.values())
        self.weights = torch.zeros(members, size, device=device)
        self.gradient = torch.zeros(members, size, device=device)
        self.views = split(self.weights, names)
        self._gradients = split(self.gradient, names)
        self._stacked = {}
        for name, view in self.views.items():
            self._stacked[name] = nn.Parameter(view)
            self.register_parameter(name.replace(".", "/"), self._stacked[name])

    def clear_gradient(self) -> None:
        """Zero the gradient and hand its views to the parameters (a driver may drop them)."""
        self.gradient.zero_()
        for name, parameter in self._stacked.items():
            parameter.grad = self._gradients[name]

    def named_stacked(self) -> dict[str, Tensor]:
        """The parameters by the model's own names, each with the members in front."""
        return self._stacked


def split(buffer: Tensor, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a buffer (k, P) by parameter name, each (k, ...)."""
    parts = buffer.split([n.numel() for n in names.values()], dim=1)
    return {name: part.view(len(buffer), *size)
            for (name, size), part in zip(names.items(), parts, strict=True)}
