"""Tuning: which settings to try next, from the losses of those that are finished.

A search is replayed from its beginning each time a plan is made: it asks for losses of settings and
stops where one is not known yet. So a plan holds all runs that the search needs so far, and the
next launch, which knows more losses, continues it. Nothing about a search is stored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, Within, setting
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.sweeps.study.axes import axes
from scalinglab.sweeps.study.generator import GENERATORS, Block, Generator, Point

METHODS = ("grid", "coordinate", "halving")
Setting = dict[str, Any]
Loss = Callable[[Setting], float | None]  # None: not finished; infinite: diverged


@GENERATORS.register("tune")
@dataclass(frozen=True)
class Tune(Generator):
    """Options of an arm's tuning; give every arm the same budget.

    Attributes
    ----------
    method : str
        How the next settings are chosen.
    budget : int
        Runs; for halving, the tokens of that many whole runs.
    space : dict
        Axes; empty: those of the optimizer.
    factor : float
        Halving only: each round keeps one setting in `factor`, and trains it on `factor` times the
        tokens.
    """

    is_search: ClassVar[bool] = True

    method: str = setting("coordinate", METHODS)
    budget: int = setting(18, AT_LEAST_1)
    space: dict[str, Any] = setting({})
    factor: float = setting(2.0, Within(1, above=True))

    def points(self, block: Block) -> Iterator[Point]:
        """The settings that it needs so far, at every combination of the block's other axes."""
        space = self.search_space(block.config.optimizer.name, block.key)
        for grid_point in block.grid_points:

            def loss(setting: Setting, grid_point: Point = grid_point) -> float | None:
                return block.finished({**grid_point, **setting})

            tokens = grid_point.get("tokens", block.config.tokens)
            for values in settings(self, space, tokens, loss, block.key):
                yield {**grid_point, **values}

    def sets(self, optimizer: str) -> Iterable[str]:
        """See ``Generator.sets``."""
        return axes(self.space) or _usual_space(optimizer)

    def search_space(self, optimizer: str, key: str) -> dict[str, list[Any]]:
        """The values of each key that is tuned, in their order.

        Raises
        ------
        ConfigError
            If there is no default for the optimizer, or an axis has fewer than two values.
        """
        space_axes = axes(self.space)
        space = {name: list(v) for name, v in (space_axes or _usual_space(optimizer)).items()}
        if not space:
            usual = [name for name, kind in OPTIMIZERS.items() if kind.search_space]
            raise ConfigError(
                f"{key}.space is empty and there is no default for optimizer.name = "
                f"{optimizer!r} (there is for {', '.join(usual)}); give axes, as in "
                "optimizer: {lr: [0.01, 0.02, 0.04]}"
            )
        for name, values in space.items():
            if len(values) < 2:
                raise ConfigError(f"{key}.space.{name} = {values}: allowed are two values or more")
        return space


def _usual_space(optimizer: str) -> Mapping[str, Sequence[Any]]:
    """The values that are tried for an optimizer by default; empty for some optimizers."""
    return OPTIMIZERS[optimizer].search_space if optimizer in OPTIMIZERS else {}


def settings(
    options: Tune, space: Mapping[str, Sequence[Any]], tokens: int, loss: Loss, key: str
) -> list[Setting]:
    """All settings that a search needs so far, in the order in which it chose them.

    Parameters
    ----------
    options : Tune
    space : mapping
        Key -> its values.
    tokens : int
        Tokens of a whole run.
    loss : callable
        The final loss of a setting; None while it is not finished.
    key : str
        For messages.

    Raises
    ------
    ConfigError
        If the method needs more runs than the budget allows.
    """
    if options.method == "coordinate":
        return _coordinate(space, options.budget, loss)
    if options.method == "halving":
        return _halving(options, space, tokens, loss, key)
    every_setting = _product(space)
    if len(every_setting) > options.budget:
        raise ConfigError(
            f"{key}: the grid has {len(every_setting)} settings and the budget is "
            f"{options.budget}; allowed are fewer values, or another method"
        )
    return every_setting


def _product(space: Mapping[str, Sequence[Any]]) -> list[Setting]:
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def _coordinate(space: Mapping[str, Sequence[Any]], budget: int, loss: Loss) -> list[Setting]:
    """One key after the other through all of its values, until a round changes nothing.

    How arXiv 2509.02046 tuned ten optimizers alike. It begins in the middle of every axis.
    """
    now = {name: values[len(values) // 2] for name, values in space.items()}
    runs = [now]
    while True:
        before = now
        for name, values in space.items():
            line = [now | {name: value} for value in values]
            line.sort(key=lambda s: abs(values.index(s[name]) - values.index(now[name])))
            for tried in line:
                if tried not in runs and len(runs) < budget:
                    runs.append(tried)
            losses = [(loss(s), s) for s in line if s in runs]
            measured = [(value, s) for value, s in losses if value is not None]
            if len(measured) < len(losses):
                return runs
            now = min(measured, key=itemgetter(0))[1]
        if now == before:
            return runs


def _halving(
    options: Tune, space: Mapping[str, Sequence[Any]], tokens: int, loss: Loss, key: str
) -> list[Setting]:
    """All settings on few tokens, the best of them on more, the last one on all (1603.06560)."""
    survivors = _product(space)
    rounds = math.ceil(math.log(len(survivors), options.factor) - 1e-9)
    requested: list[Setting] = []
    spent = 0.0
    for round_number in range(rounds + 1):
        token_share = options.factor ** (round_number - rounds)
        spent += len(survivors) * token_share
        if spent > options.budget + 1e-9:
            raise ConfigError(
                f"{key}: halving {len(_product(space))} settings by {options.factor:g} costs more "
                f"tokens than the budget of {options.budget} whole runs; allowed are fewer "
                "settings, a larger factor or a larger budget"
            )
        runs = [s | {"tokens": max(1, round(tokens * token_share))} for s in survivors]
        requested += runs
        losses = [value for value in map(loss, runs) if value is not None]
        if len(losses) < len(runs):
            return requested
        order = sorted(range(len(survivors)), key=losses.__getitem__)
        survivors = [
            survivors[i] for i in order[: max(1, math.ceil(len(survivors) / options.factor))]
        ]
    return requested
