"""The form of an export: the class of another program that loads it.

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
        """A key and its value that the other class cannot express; None if it can express all."""

    @abstractmethod
    def config(self, architecture: Architecture) -> dict[str, Any]:
        """The content of ``config.json``, without the ids of special tokens."""

    @abstractmethod
    def tensors(self, architecture: Architecture, weights: Weights) -> dict[str, Tensor]:
        """The weights under the other class's names, with our multipliers multiplied in."""

    def files(self) -> dict[str, str]:
        """Further texts that are written beside the weights, by file name."""
        return {}


FORMS: Registry[Form] = Registry("form", f"{__package__}.forms")
FORMS.wants(instance_of(Form))


def first_misfit(model: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]]) -> str | None:
    """The first key of a model whose value is not an allowed one, as ``model.KEY = VALUE``."""
    for key, choices in allowed.items():
        if model[key] not in choices:
            return f"model.{key} = {getattr(model[key], 'name', model[key])!r}"
    return None
