"""``scaling coordcheck``: check a parametrization before a ladder is spent on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.reporting.coordinate_check import growth, write_coordinate_check
from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.options import Options, option, overrides
from scalinglab.prepare import compose_configuration
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.scaling.model.options import ModuleConfig, model_class
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

TINY = ("model.context=16", "optimizer.lr=0.01")
TINY_HEADS = "model.head_dim=16"  # only the shipped transformer has the key
USED = ("model", "optimizer", "config", "extend", "hydra")  # first parts of allowed overrides


@dataclass(frozen=True)
class CoordcheckOptions(Options):
    """Options of ``scaling coordcheck``; the first width and depth are the base."""

    widths: list[int] = option("widths, all at the first depth", [64, 128, 256])
    depths: list[int] = option("depths, all at the first width", [2, 4, 8, 16])
    parametrizations: list[str] = option("a line each", ["sp", "mup", "completep"])
    steps: int = option("training steps", 4, Within(1, 10_000))
    seeds: int = option("seeds that are averaged", 3, Within(1, 1_000))
    to: str = option("the picture: a .png, .svg or .pdf file", "coordcheck.png")
    overrides: list[str] = overrides(
        "any key or group of the model and the optimizer: model/feed_forward=moe optimizer=lion "
        "optimizer.lr=0.01, the peak at the base"
    )


@dataclass(frozen=True)
class CoordinateChecked:
    """Updates of models of several sizes.

    Attributes
    ----------
    movement : DataFrame
        One row a parametrization, size, tensor and step.
    growth : DataFrame
        One row a parametrization and axis: how the movement grows with size.
    steps, seeds : int
    lr : float
        The peak learning rate at the base.
    picture : str or None
        The figure's file; None if it could not be written.
    """

    movement: pd.DataFrame
    growth: pd.DataFrame
    steps: int
    seeds: int
    lr: float
    picture: str | None
    unwritten: Unwritten | None = None

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The growth, and the settings of the measurement."""
        return {
            "growth": self.growth,
            "steps": self.steps,
            "seeds": self.seeds,
            "lr": self.lr,
            "picture": self.picture,
        }

    def show(self, screen: Screen) -> None:
        """A row a parametrization and axis."""
        frame = self.growth.copy()
        frame["growth"] = [f"{value:.2f}" for value in frame["growth"]]
        screen.table(frame, optional=("logits",))
        screen.say(
            f"mean change of a coordinate after {self.steps} steps, {self.seeds} seeds, "
            f"peak LR {self.lr:g} at the base"
        )
        if self.picture is not None:
            screen.say(f"drawn in {self.picture}")


def run(options: CoordcheckOptions, screen: Screen) -> CoordinateChecked:
    """Measure how far models move in a few steps, against width and depth; also draw a PNG.

    Trains tiny models of each parametrization on tokens without structure, the widths at the first
    depth and the depths at the first width. Where the movement grows with size, the best learning
    rate falls with it; where it stays, one learning rate serves all sizes. The last hidden state is
    shown at each size, and against width the tensor whose movement changes most. Any key and group
    of the model and of the optimizer may be set: model=llama model.placement=peri optimizer=lion
    optimizer.lr=0.003. Of a network of your own (model.target) model.base_options names the options
    that make it wider; widths are values of the first of them, the others go in proportion.
    """
    check_destination("to", options.to, "picture", ".png", ".svg", ".pdf")
    # Imported here, because torch is an extra and takes seconds to load.
    from scalinglab.scaling.engine.trainer.coordcheck import CoordinateCheck, coordinate_check

    composed = _compose(options.overrides)
    depths, parametrizations, model = options.depths, options.parametrizations, composed["model"]
    if model_class(model) is ModuleConfig:
        depths, parametrizations = _module_sizes(options)
        model = {**model, "parametrization": "mup"}  # only then does it have a base
    optimizer = from_dict(OptimizerConfig, composed["optimizer"], "optimizer")
    check = CoordinateCheck(
        widths=options.widths,
        depths=depths,
        parametrizations=parametrizations,
        model=from_dict(model_class(model), model, "model"),
        optimizer=optimizer,
        steps=options.steps,
        seeds=options.seeds,
    )
    movement = pd.DataFrame(coordinate_check(check))
    side_files = SideFiles()
    picture = side_files.write(options.to, lambda to: write_coordinate_check(movement, Path(to)))
    return CoordinateChecked(
        movement,
        growth(movement),
        check.steps,
        check.seeds,
        optimizer.lr,
        picture,
        side_files.error,
    )


def _compose(overrides: list[str]) -> dict[str, Any]:
    """The model and the optimizer, tiny where nothing else is asked for."""
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if re.split(r"[./@]", key)[0] not in USED:
            raise ConfigError(
                f"{override!r}: a coordinate check takes keys of the model and the optimizer, "
                "beside its own; it trains on tokens without structure, by a constant learning rate"
            )
    composed = compose_configuration([*TINY, *overrides])
    if model_class(composed["model"]) is ModuleConfig:
        return composed
    return compose_configuration([*TINY, TINY_HEADS, *overrides])


def _module_sizes(options: CoordcheckOptions) -> tuple[list[int], list[str]]:
    """Depths and parametrizations for a network of one's own, which grows in width alone."""
    default = CoordcheckOptions()
    if options.depths not in (default.depths, options.depths[:1]):
        raise ConfigError(
            f"depths = {options.depths}: how model.target grows deeper is not known; allowed is one"
        )
    if options.parametrizations == default.parametrizations:
        return options.depths[:1], ["sp", "mup"]
    return options.depths[:1], options.parametrizations


VERB = Verb(
    "check that a parametrization moves models of all sizes alike",
    "scaling coordcheck [widths=[64,512]] [depths=[2,32]] [parametrizations=[sp,mup]] "
    "[optimizer.lr=0.01] [model.placement=peri]",
    run,
    CoordcheckOptions,
)
