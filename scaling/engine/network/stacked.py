"""All members' parameters as one buffer (k, P), and by name as tensors (k, ...)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StackedParameters(nn.Module):
    """All members' parameters as one buffer (k, P), and by name as parameters (k, ...).

    The parameters are views of ``weights`` and their gradients views of ``gradient``: the
    optimizer sees one tensor and autograd the ordinary ones. With a single member they have no
    leading axis, so that a plain model can use them.
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
        """The parameters by the model's own names, with a leading axis of members if several."""
        return self._parameters_by_name

    @staticmethod
    def by_name(buffer: Tensor, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
        """Views of a buffer (k, P) as a model of k members takes them."""
        views = split(buffer, names)
        return {n: v[0] for n, v in views.items()} if len(buffer) == 1 else views

    def lend(self, model: nn.Module) -> None:
        """Make a model use the parameters of the only member."""
        first_names: dict[int, str] = {}  # a shared parameter is stacked once, by its first name
        for name, parameter in [*model.named_parameters(remove_duplicate=False)]:
            first_name = first_names.setdefault(id(parameter), name)
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, self._parameters_by_name[first_name])


def split(buffer: Tensor, names: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of a buffer (k, P) by parameter name, each (k, ...)."""
    columns = buffer.split([size.numel() for size in names.values()], dim=1)
    return {
        name: of_parameter.view(len(buffer), *size)
        for (name, size), of_parameter in zip(names.items(), columns, strict=True)
    }
