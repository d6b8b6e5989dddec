"""In which form a checkpoint is exported: what another program takes it for.

To add one, write a file in ``forms`` that registers an instance of a subclass of `Form`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.registry import Registry, instance_of

Weights = Mapping[str, Tensor]


class Form(ABC):
    """A class of another library, or of a modelling file that is written beside the weights.

    Attributes
    ----------
    general : bool
        Whether it is taken only where no other form fits.
    """

    general: ClassVar[bool] = False

    @abstractmethod
    def misfit(self, architecture: Architecture) -> str | None:
        """The key with its value that the other class does not have; None if it is equal."""

    @abstractmethod
    def config(self, architecture: Architecture) -> dict[str, Any]:
        """The content of ``config.json``, but for the names of tokens."""

    @abstractmethod
    def tensors(self, architecture: Architecture, weights: Weights) -> dict[str, Tensor]:
        """The weights by the other class's names, multipliers multiplied into them."""

    def files(self) -> dict[str, str]:
        """Texts that are written beside, by their names."""
        return {}


FORMS: Registry[Form] = Registry("form", f"{__package__}.forms")
FORMS.wants(instance_of(Form))


def first_misfit(values: Mapping[str, Any], wanted: Mapping[str, tuple[Any, ...]]) -> str | None:
    """The first key of the model whose value is none of those wanted, as ``model.KEY = VALUE``."""
    for key, allowed in wanted.items():
        if values[key] not in allowed:
            return f"model.{key} = {getattr(values[key], 'name', values[key])!r}"
    return None
