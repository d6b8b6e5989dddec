"""Generators: from the options of a block to the points of its runs.

To add a generator, write a file in ``scalinglab.sweeps.study.generators`` with a dataclass of its
options.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, setting
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.registry import Registry, subclass_of
from scalinglab.sweeps.study.rungs import GROWTHS, Rung, all_rungs

Point = dict[str, Any]  # dotted key -> value
Finished = Callable[[Mapping[str, Any]], float | None]  # final loss of a run, as dotted keys
PARTS = ("all", "below", "top")


@dataclass(frozen=True)
class Block:
    """The input of a generator from its block of a study, beside the options.

    Attributes
    ----------
    key : str
        Configuration key of the options, for messages.
    base : mapping
        The plain run configuration that the block starts from.
    grid_points : sequence of dict
        The combinations of its grid's axes, as dotted keys.
    part : str
        Which groups of a design: one of ``PARTS``.
    vocab : callable
        Vocabulary size of some data; called where parameters are counted.
    finished : callable
        The final loss of a run; called by searches, which continue from finished runs.
    """

    key: str
    base: Mapping[str, Any]
    grid_points: Sequence[Point]
    part: str
    vocab: Callable[[DataConfig], int]
    finished: Finished

    @functools.cached_property
    def config(self) -> RunConfig:
        """The run that the block starts from."""
        return from_dict(RunConfig, dict(self.base))


@dataclass(frozen=True)
class Generator(ABC):
    """The options of a generator, and what they make of a block."""

    has_parts: ClassVar[bool] = False  # whether a block may take a part of its points
    is_search: ClassVar[bool] = False  # whether finished runs make it ask for more

    @abstractmethod
    def points(self, block: Block) -> Iterator[Point]:
        """Every run of a block as dotted keys.

        Raises
        ------
        ConfigError
            If an option or a size makes no sense.
        """

    def sets(self, optimizer: str) -> Iterable[str]:
        """The keys that it sets in every run with this optimizer."""
        return ()


GENERATORS: Registry[type[Generator]] = Registry("generator", f"{__package__}.generators")
GENERATORS.wants(subclass_of(Generator))


@dataclass(frozen=True)
class DesignBudget:
    """Upper limit for all runs of a design: FLOPs, or hours on a device of known speed."""

    flops: float | None = setting(None, ABOVE_0)
    hours: float | None = setting(None, ABOVE_0)
    flops_per_second: float | None = setting(None, ABOVE_0)  # measured: not the peak

    def total(self, key: str) -> float | None:
        """The limit in FLOPs; None: there is none."""
        if self.hours is None:
            return self.flops
        if self.flops is not None or self.flops_per_second is None:
            raise ConfigError(
                f"{key}.hours = {self.hours:g} needs {key}.flops_per_second, and no {key}.flops"
            )
        return self.hours * 3600 * self.flops_per_second


@dataclass(frozen=True, kw_only=True)
class Design(Generator):
    """Points in groups from small to large: sizes, or budgets.

    Costs are training FLOPs (matmul and causal attention) as if every run were trained whole; runs
    that share a trunk cost less.

    Attributes
    ----------
    seeds : int
        Runs of each size and length.
    grow : str
        What grows with the size: one of ``GROWTHS``.
    """

    has_parts: ClassVar[bool] = True

    seeds: int = setting(1, AT_LEAST_1)
    grow: str = setting("width", GROWTHS)

    @abstractmethod
    def groups(self, sizes: Sequence[Rung], key: str) -> list[list[dict[str, int]]]:
        """The points, small to large, from the sizes of the recipe; `key` is for messages."""

    def points(self, block: Block) -> Iterator[Point]:
        """See ``Generator.points``."""
        config = block.config
        sizes = all_rungs(config.model, block.vocab(config.data), self.grow, block.key)
        groups = self.groups(sizes, block.key)
        chosen = {"all": groups, "below": groups[:-1], "top": groups[-1:]}[block.part]
        for group in chosen:
            for point in group:
                yield from ({**point, **grid_point} for grid_point in block.grid_points)

    def sets(self, optimizer: str) -> Iterable[str]:
        """See ``Generator.sets``."""
        return ("model.width", "model.depth", "tokens", "seed")


@dataclass(frozen=True, kw_only=True)
class BudgetedDesign(Design):
    """A design within a budget for all of its runs."""

    budget: DesignBudget = field(default_factory=DesignBudget)
