"""What every token source says of itself.

To add one, write a file here with a class of its options; it registers by name.
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
        """What the options do not say of the tokens, as files that are read; None: they say all."""
        return None

    def window_entropy(self, windows: np.ndarray) -> float | None:
        """Loss of the perfect predictor on windows of tokens, where it is known, nats per token."""
        return None


@dataclass(frozen=True)
class Source(DataSource, ABC):
    """The options of a source of tokens, and the tokens that they give."""

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
