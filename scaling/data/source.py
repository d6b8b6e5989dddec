"""The base classes of token sources.

A new source is a file in this folder with a class of its options, registered by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    import numpy as np

    from scalinglab.scaling.data.store import Corpus


@dataclass(frozen=True)
class DataSource:
    """The options of a source: of tokens (`Source`), or of documents (``Documents``)."""

    def state(self) -> Any:
        """State besides the options that determines the tokens, such as that of files; or None."""
        return None

    def overlap_limit(self) -> float | None:
        """Share of the validation part that the training part may hold, too; None if unlimited.

        Where it is a number it is the option ``max_overlap``, which changes no token: one store
        serves all its values.
        """
        return None

    def window_entropy(self, windows: np.ndarray) -> float | None:
        """Loss of the perfect predictor on windows of tokens in nats per token; None if unknown."""
        return None


@dataclass(frozen=True)
class Source(DataSource, ABC):
    """The options of a source of tokens; `corpus` makes the tokens."""

    @abstractmethod
    def corpus(self) -> Corpus:
        """The training and the validation tokens.

        Raises
        ------
        ConfigError
            If an option is out of its range, or there are no such tokens.
        """


SOURCES: Registry[type[DataSource]] = Registry("data.source", __package__)
SOURCES.wants(subclass_of(DataSource))
