"""The verb that checks a parametrization before a ladder is spent on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.options import option
from scalinglab.scaling.fields import Within
from scalinglab.verb import Verb, open_console, say


@dataclass(frozen=True)
class CoordcheckOptions:
    """Options of ``scaling coordcheck``; the first width and depth are the base."""

    widths: list[int] = option("all at the first depth; the first is the base", [64, 128, 256])
    depths: list[int] = option("all at the first width; the first is the base", [2, 4, 8, 16])
    parametrizations: list[str] = option("a line each", ["sp", "mup", "completep"])
    steps: int = option("of training", 4, Within(1, 10_000))
    seeds: int = option("over which the change is averaged", 3, Within(1, 1_000))
    model: dict[str, Any] = option("any key of the model: model.placement=peri", {})
    optimizer: dict[str, Any] = option(
        "any key of the optimizer: optimizer.lr=0.01 is the peak at the base", {}
    )
    to: str = option("the picture", "coordcheck.png")


def coordcheck_verb(arguments: Sequence[str]) -> int:
    """How far a model moves in a few steps, against width and depth; also a PNG.

    Trains tiny models of each parametrization on tokens without structure, the widths at the first
    depth and the depths at the first width. Where the movement grows with size, the best learning
    rate falls with it; where it stays, one learning rate serves all sizes. The last hidden state is
    shown at each size, and against width the tensor whose movement changes most. Any key of the
    model and of the optimizer may be set: model.placement=peri optimizer.name=lion
    optimizer.lr=0.003.
    """
    import pandas as pd

    from scalinglab.analysis.reporting.coordinate_check import draw_coordinate_check, growth
    from scalinglab.options import read_options
    from scalinglab.scaling.config import ModelConfig, OptimizerConfig, from_dict
    from scalinglab.scaling.engine.trainer.coordcheck import CoordinateCheck, coordinate_check

    options = read_options(CoordcheckOptions, arguments)
    tiny = {"context": 16, "head_dim": 16}
    check = CoordinateCheck(
        widths=options.widths,
        depths=options.depths,
        parametrizations=options.parametrizations,
        model=from_dict(ModelConfig, tiny | options.model, "model"),
        optimizer=from_dict(OptimizerConfig, {"lr": 0.01} | options.optimizer, "optimizer"),
        steps=options.steps,
        seeds=options.seeds,
    )
    movement = pd.DataFrame(coordinate_check(check))
    console = open_console()
    frame = growth(movement)
    frame["growth"] = [f"{value:.2f}" for value in frame["growth"]]
    console.table(frame, optional=("logits",))
    say(
        console,
        f"mean change of a coordinate after {check.steps} steps, {check.seeds} seeds, "
        f"peak LR {check.optimizer.lr:g} at the base",
    )
    path = Path(options.to)
    draw_coordinate_check(movement).savefig(path, dpi=150)
    say(console, f"drawn in {path}")
    return 0


VERBS = {
    "coordcheck": Verb(
        "check that a parametrization moves models of all sizes alike",
        "scaling coordcheck [widths=[64,512]] [depths=[2,32]] [parametrizations=[sp,mup]] "
        "[optimizer.lr=0.01] [model.placement=peri]",
        coordcheck_verb,
        CoordcheckOptions,
    ),
}
