"""From a block of a study to its runs, as dotted keys: by a grid, or by a generated design."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalinglab.scaling.config import ConfigError, DataConfig, RunConfig, from_dict, one_of
from scalinglab.sweeps.study.designs import (
    GridOptions,
    IsoflopOptions,
    LadderOptions,
    Point,
    isoflop,
    ladder,
    nd_grid,
)
from scalinglab.sweeps.study.rungs import candidates
from scalinglab.sweeps.study.tune import Setting, TuneOptions, search_space, settings

ZIP = "zip"  # axes of a grid that go together
PARTS = ("all", "below", "top")
# Generator -> its options, and what it makes of them.
DESIGNS: Mapping[str, tuple[type, Callable[..., list[list[Point]]]]] = {
    "ladder": (LadderOptions, ladder),
    "isoflop": (IsoflopOptions, isoflop),
    "nd_grid": (GridOptions, nd_grid),
}
GENERATORS = ("grid", *DESIGNS, "tune")
Finished = Callable[[Mapping[str, Any]], float | None]  # final loss of a run, as dotted keys
DESIGNED = ("model.width", "model.depth", "tokens", "seed")  # what a design sets


@dataclass(frozen=True)
class BlockConfig:
    """Some runs of a study and what the analysis does with them.

    `role` is "fit" (the laws are fitted to it), "held_out" (predicted and compared), "curve"
    (whole curves under several schedules) or "sweep" (an optimum or a verdict is read off it). A
    design or a search has `options`, and `part` takes all of a design, its top group (the largest
    size, or the largest budget) or what lies below; `grid` crosses it with other axes. `base`
    replaces whole groups of the configuration that the study starts from, such as the optimizer.
    """

    role: str
    grid: dict[str, Any] = field(default_factory=dict)
    generator: str = "grid"
    options: dict[str, Any] = field(default_factory=dict)
    part: str = "all"
    base: dict[str, Any] = field(default_factory=dict)


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
        Where it stands, for messages.
    base : mapping
        The plain run configuration that the study starts from.
    vocab : callable
        Size of the alphabet of some data; asked for designs only, which count parameters.
    finished : callable
        The final loss of a run; asked for searches only, which go on from what is known.

    Raises
    ------
    ConfigError
        If an option, an axis or a size makes no sense.
    """
    one_of(f"{path}.generator", block.generator, GENERATORS)
    one_of(f"{path}.part", block.part, PARTS)
    if block.generator == "tune":
        yield from _searched(block, path, base, finished)
        return
    if block.generator == "grid":
        if block.options or block.part != "all":
            raise ConfigError(
                f"{path}.options and .part are for the generators "
                f"{', '.join(GENERATORS[1:])}; this block's is 'grid'"
            )
        yield from combinations(block.grid, path)
        return
    twice = sorted(set(axes(block.grid)) & set(DESIGNED))
    if twice:
        raise ConfigError(
            f"{path}.grid sets {', '.join(twice)}, and so does the generator "
            f"{block.generator!r}; say it in {path}.options"
        )
    for point in _designed(block, path, base, vocab):
        for other in combinations(block.grid, path):
            yield {**point, **other}


def _designed(
    block: BlockConfig, path: str, base: Mapping[str, Any], vocab: Callable[[DataConfig], int]
) -> list[Point]:
    kind, design = DESIGNS[block.generator]
    key = f"{path}.options"
    options = from_dict(kind, block.options, key)
    config = from_dict(RunConfig, dict(base))
    sizes = candidates(config.model, vocab(config.data), options.grow, key)
    groups = design(options, sizes, key)
    chosen = {"all": groups, "below": groups[:-1], "top": groups[-1:]}[block.part]
    return [point for group in chosen for point in group]


def _searched(
    block: BlockConfig, path: str, base: Mapping[str, Any], finished: Finished
) -> Iterator[dict[str, Any]]:
    """The settings that a search wants so far, at every combination of the block's other axes."""
    key = f"{path}.options"
    flat = dict(block.options) | {"space": axes(block.options.get("space", {}))}
    options = from_dict(TuneOptions, flat, key)
    config = from_dict(RunConfig, dict(base))
    space = search_space(options, config.optimizer.name, key)
    for other in combinations(block.grid, path):

        def loss(setting: Setting, other: dict[str, Any] = other) -> float | None:
            return finished({**other, **setting})

        tokens = other.get("tokens", config.tokens)
        for setting in settings(options, space, tokens, loss, key):
            yield {**other, **setting}


def combinations(grid: Mapping[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Every combination of the values of nested axes; axes below ``zip`` go together.

    >>> list(combinations({"seed": [0, 1], "zip": {"tokens": [1, 2], "batch": [4, 8]}}, ""))
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'seed': 0, 'tokens': 1, 'batch': 4}, {'seed': 0, 'tokens': 2, 'batch': 8},
     {'seed': 1, 'tokens': 1, 'batch': 4}, {'seed': 1, 'tokens': 2, 'batch': 8}]
    """
    for key, values in axes(grid).items():
        if not values:
            raise ConfigError(f"{path}.grid.{key} has no values: the study would have no runs")
    free = axes({key: value for key, value in grid.items() if key != ZIP})
    steps = [[{key: value} for value in values] for key, values in free.items()]
    steps += [_paired(group, path) for group in _groups(grid.get(ZIP, []), path)]
    keys = [key for step in steps for key in step[0]]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(f"{path}.grid gives {twice[0]} twice, in {ZIP} and elsewhere")
    for combination in itertools.product(*steps):
        yield {key: value for step in combination for key, value in step.items()}


def _groups(given: Any, path: str) -> list[dict[str, list[Any]]]:
    """Axes that go together: one group, or a list of groups."""
    groups = given if isinstance(given, list) else [given]
    if not all(isinstance(group, Mapping) and group for group in groups):
        raise ConfigError(
            f"{path}.grid.{ZIP} = {given!r}: expected are axes that go together, as"
            " in {model.width: [64, 128], optimizer.lr: [0.01, 0.005]}"
        )
    return [axes(group) for group in groups]


def _paired(group: dict[str, list[Any]], path: str) -> list[dict[str, Any]]:
    """The first values of all axes of a group, the second ones, and so on."""
    lengths = {key: len(values) for key, values in group.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(
            f"{path}.grid.{ZIP}: axes that go together have as many values each; {told}"
        )
    return [dict(zip(group, row, strict=True)) for row in zip(*group.values(), strict=True)]


def axes(nested: Mapping[str, Any], path: str = "") -> dict[str, list[Any]]:
    """Flatten nested axes to dotted keys, those that go together too; one value is an axis of one.

    >>> axes({"model": {"width": [16, 32]}, "tokens": [1, 2]})
    {'model.width': [16, 32], 'tokens': [1, 2]}
    """
    flat: dict[str, list[Any]] = {}
    for key, value in nested.items():
        dotted = f"{path}.{key}" if path else str(key)
        if dotted == ZIP:
            for group in value if isinstance(value, list) else [value]:
                flat |= axes(group) if isinstance(group, Mapping) else {}
        elif isinstance(value, Mapping):
            flat |= axes(value, dotted)
        else:
            flat[dotted] = list(value) if isinstance(value, list) else [value]
    return flat
