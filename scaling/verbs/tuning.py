"""The verb that recommends a learning rate and a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scaling.config import ConfigError
from scaling.verbs.as_json import print_json
from scaling.verbs.deciding import FitOptions, points_asked
from scaling.verbs.verb import Verb, open_console, say

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TuneOptions(FitOptions):
    """Options of ``scaling tune``: those of a fit, and the runs that are planned."""

    N: list[float] = field(default_factory=list)
    D: list[float] = field(default_factory=list)  # one for each N
    within: float = 0.0025  # runs this near the best of their (N, D) are fitted


def tune_verb(arguments: Sequence[str]) -> int:
    """Recommend learning rate and batch: scaling tune data=sweep.csv N=[1e9] D=[1e11].

    Needs a sweep, several learning rates and batches (in tokens) for each of several (N, D): a file
    with the columns N, D, lr, batch and loss, or a study. Says the recommended pair of each planned
    run with its spread, and what such a recommendation cost on the (N, D) that it had not seen,
    beside one pair kept for all. json=true, or --json, prints one JSON object.
    """
    import pandas as pd

    import analysis
    from scaling.verbs.options import read_options

    options = read_options(TuneOptions, arguments)
    if options.save is not None:
        raise ConfigError(f"save = {options.save!r}: here are two fits; save them in Python")
    if not options.N or len(options.N) != len(options.D):
        raise ConfigError(f"N = {options.N} and D = {options.D}: give one D for each N, as in "
                          "N=[1e9] D=[1e11]")
    laws = analysis.lr_batch(_sweep(options), within=options.within, resamples=options.resamples,
                             seed=options.seed, columns=options.columns)
    planned = pd.DataFrame({"N": options.N, "D": options.D})
    found = planned.join(laws.predict(planned, options.level if options.resamples else None))
    inside = laws.lr.predict(planned)["inside"] & laws.batch.predict(planned)["inside"]
    answer = {"recommended": found.assign(inside=inside), "regret": _regret(laws)}
    if options.json:
        print_json(answer)
    else:
        _show(answer)
    return 0


def _sweep(options: TuneOptions) -> pd.DataFrame:
    """The table of the sweep; a study counts its batch in sequences."""
    points, _ = points_asked(options)
    if options.study is not None:
        points = points[points["status"] == "done"]
        points = points.assign(batch=points["batch"] * points["context"])
    return points


def _regret(laws: Any) -> dict[str, Any]:
    """What the laws cost where they were fitted, and where they were not if that can be told."""
    import analysis

    told = {"fitted_mean": laws.regret().mean(), "held_out_mean": None, "held_out_largest": None,
            "constant_mean": None, "cells": laws.sweep["cell"].nunique()}
    try:
        table = analysis.held_out_regret(laws)
    except ValueError as error:  # too few cells to leave one out
        return told | {"why_not_held_out": str(error)}
    return told | {"held_out_mean": table["regret"].mean(), "each": table,
                   "held_out_largest": table["regret"].max(),
                   "constant_mean": table["constant"].mean()}


def _show(answer: dict[str, Any]) -> None:
    from analysis.reporting.answer import with_intervals
    from sweeps.show import table

    console, told = open_console(), answer["regret"]
    console.print(table(with_intervals(answer["recommended"]), console.width, ("inside",)))
    say(console, f"excess loss of the runs nearest to such a choice, {told['cells']} (N, D) that "
                 f"were fitted: {told['fitted_mean']:.3%} on average")
    if told["held_out_mean"] is None:
        say(console, f"! {told['why_not_held_out']}", style="yellow")
        return
    say(console, f"each left out in turn: {told['held_out_mean']:.3%} on average, "
                 f"{told['held_out_largest']:.2%} at most; one pair kept for all: "
                 f"{told['constant_mean']:.3%}")
    if told["held_out_mean"] >= told["constant_mean"]:
        say(console, "! the laws do no better than one pair kept for all", style="yellow")


VERBS = {
    "tune": Verb("recommend a learning rate and a batch from a sweep",
                 "scaling tune data=FILE | study=NAME N=[...] D=[...]", tune_verb, TuneOptions),
}
