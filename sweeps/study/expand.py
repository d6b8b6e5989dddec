"""From a block of a study to its runs, as dotted keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import setting
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.sweeps.study.axes import axes, combinations
from scalinglab.sweeps.study.generator import GENERATORS, PARTS, Block, Finished, Generator

ROLES = ("fit", "held_out", "curve", "sweep")


@dataclass(frozen=True)
class BlockConfig:
    """Some runs of a study and what the analysis does with them.

    Attributes
    ----------
    role : str
        "fit" (the laws are fitted to it), "held_out" (predicted and compared), "curve" (whole
        curves under several schedules) or "sweep" (an optimum or a verdict is read off it).
    generator : str
        What makes its points: ``scalinglab.sweeps.study.generators``.
    options : dict
        Options of the generator.
    part : str
        Which groups of a design: "all", "top" (the largest size, or the largest budget) or "below"
        (all groups but the top one).
    grid : dict
        Axes whose combinations are crossed with the points.
    base : dict
        Groups of the configuration, such as the optimizer, whose keys replace those that the study
        starts from.
    """

    role: str = setting(allowed=ROLES)
    grid: dict[str, Any] = setting({})
    generator: str = "grid"
    options: dict[str, Any] = setting({})
    part: str = setting("all", PARTS)
    base: dict[str, Any] = setting({})


def expand(
    block: BlockConfig,
    path: str,
    base: Mapping[str, Any],
    vocab: Callable[[DataConfig], int],
    finished: Finished = lambda point: None,
) -> Iterator[dict[str, Any]]:
    """Every run of a block as dotted keys.

    Parameters
    ----------
    block : BlockConfig
    path : str
        Configuration key of the block, for messages.
    base : mapping
        The plain run configuration that the study starts from.
    vocab : callable
        Vocabulary size of some data; called by designs, which count parameters.
    finished : callable
        The final loss of a run; called by searches, which continue from finished runs.

    Raises
    ------
    ConfigError
        If an option, an axis or a size makes no sense.
    """
    generator = generator_of(block, path)
    if block.part != "all" and not generator.has_parts:
        designs = [name for name, kind in GENERATORS.items() if kind.has_parts]
        raise ConfigError(
            f"{path}.part = {block.part!r} is for the generators {', '.join(designs)}; this "
            f"block's is {block.generator!r}"
        )
    set_twice = sorted(set(axes(block.grid)) & set(generator.sets(optimizer_of(base))))
    if set_twice:
        raise ConfigError(
            f"{path}.grid sets {', '.join(set_twice)}, and so does the generator "
            f"{block.generator!r}; say it in {path}.options"
        )
    grid_points = list(combinations(block.grid, path))
    yield from generator.points(
        Block(f"{path}.options", base, grid_points, block.part, vocab, finished)
    )


def optimizer_of(base: Mapping[str, Any]) -> str:
    """The name of the optimizer of a plain run configuration."""
    optimizer = base.get("optimizer")
    name = optimizer.get("name") if isinstance(optimizer, Mapping) else None
    return name or OptimizerConfig.name


def generator_of(block: BlockConfig, path: str) -> Generator:
    """The generator of a block with its options.

    Raises
    ------
    ConfigError
        If no generator has the name, or it has no such option.
    """
    kind = GENERATORS.find(block.generator, f"{path}.generator")
    return from_dict(kind, block.options, f"{path}.options")
