"""All members' parameters as one buffer (k, P), and by name as tensors (k, ...)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StackedParameters(nn.Module):
    """All members' parameters as one buffer (k, P), and by name as parameters (k, ...).

    The parameters are views of ``weights`` and their gradients views of ``gradient``: the
    optimizer sees one tensor and autograd the ordinary ones. Those of a member that is alone have
    no leading axis: a plain model can take them as its own.
    """

    def __init__(self, names: Mapping[str, torch.Size], members: int, device: str) -> None:
        super().__init__()
        self.names = names
        size = sum(n.numel() for n in names.values())
        self.weights = torch.zeros(members, size, device=device)
        self.gradient = torch.zeros(members, size, device=device)
        self.views = split(self.weights, names)
        self._gradients = self.by_name(self.gradient, names)
        self._parameters_by_name: dict[str, Tensor] = {}
        for name, view in self.by_name(self.weights, names).items():
            parameter = self._parameters_by_name[name] = nn.Parameter(view)
            self.register_parameter(name.replace(".", "/"), parameter)

    def clear_gradient(self) -> None:
        """Zero the gradient and hand its views to the parameters (a driver may drop them)."""
        self.gradient.zero_()
        for name, parameter in self._parameters_by_name.items():
            parameter.grad = self._gradients[name]

    def named(self) -> dict[str, Tensor]:
        """The parameters by the model's own names, each with the members in front if several."""
        return self._parameters_by_name

    @staticmethod
    def by_name(buffer: Tensor, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Views of a buffer (k, P) as a model of k members takes them."""
        views = split(buffer, names)
        return {n: v[0] for n, v in views.items()} if len(buffer) == 1 else views

    def lend(self, model: nn.Module) -> None:
        """Make the parameters of the one member those of a model."""
        shared: dict[int, str] = {}
        for name, parameter in [*model.named_parameters(remove_duplicate=False)]:
            first = shared.setdefault(id(parameter), name)
            owner, _, own = name.rpartition(".")
            setattr(model.get_submodule(owner), own, self._parameters_by_name[first])


def split(buffer: Tensor, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a buffer (k, P) by parameter name, each (k, ...)."""
    parts = buffer.split([n.numel() for n in names.values()], dim=1)
    return {
        name: part.view(len(buffer), *size)
        for (name, size), part in zip(names.items(), parts, strict=True)
    }
