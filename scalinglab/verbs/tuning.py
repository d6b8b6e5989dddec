"""The verb that recommends a learning rate and a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import State
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.deciding import PointsOptions, points_asked

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TuneOptions(PointsOptions):
    """Options of ``scaling tune``: where the sweep is, and the runs that are planned."""

    N: list[float] = option("sizes of the planned runs", [])
    D: list[float] = option("tokens of the planned runs, one for each N", [])
    losses: list[float] = option("in place of planned runs: the critical batch at each loss", [])
    law: str = option(
        "for losses: critical_batch_at_loss (a table of loss and critical_batch) or"
        " kaplan_steps (of N, steps, batch and loss)",
        "critical_batch_at_loss",
    )
    within: float = option(
        "runs whose loss is this near the best of their (N, D) are fitted", 0.0025
    )
    resamples: int = option("refits for the spread; 0 for none", 1000, RESAMPLES)
    seed: int = option("of the resamples", 0, SEED)
    level: float = option("of the spread", 0.95, LEVEL)


def tune_verb(arguments: Sequence[str]) -> int:
    """Recommend learning rate and batch: scaling tune data=sweep.csv N=[1e9] D=[1e11].

    Needs a sweep, several learning rates and batches (in tokens) for each of several (N, D): a file
    with the columns N, D, lr, batch and loss, or a study. Says the recommended pair of each planned
    run with its spread, and what such a recommendation cost on the (N, D) that it had not seen,
    beside one pair kept for all.

    losses=[2.5,3.0] asks for the critical batch at a loss instead: the one at which it takes twice
    the fewest steps and twice the fewest tokens.
    """
    import pandas as pd

    from scalinglab import analysis
    from scalinglab.options import read_options

    options = read_options(TuneOptions, arguments)
    if options.losses:
        return _critical_batch(options)
    if not options.N or len(options.N) != len(options.D):
        raise ConfigError(
            f"N = {options.N} and D = {options.D}: give one D for each N, as in N=[1e9] D=[1e11]"
        )
    laws = analysis.lr_batch(
        _sweep(options),
        within=options.within,
        resamples=options.resamples,
        seed=options.seed,
        columns=options.columns,
    )
    planned = pd.DataFrame({"N": options.N, "D": options.D})
    found = planned.join(laws.predict(planned, options.level if options.resamples else None))
    inside = laws.lr.predict(planned)["inside"] & laws.batch.predict(planned)["inside"]
    answer = {"recommended": found.assign(inside=inside), "regret": _regret(laws)}
    if options.json:
        print_json(answer)
    else:
        _show(answer)
    return 0


def _critical_batch(options: TuneOptions) -> int:
    from scalinglab import analysis
    from scalinglab.analysis.reporting.answer import with_intervals

    result = analysis.fit(
        options.law,
        _sweep(options),
        columns=options.columns or None,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        mix_fingerprints=options.mix_fingerprints,
    )
    found = analysis.critical_batch(result, options.losses, level=options.level)
    if options.json:
        print_json({"law": options.law, "critical_batch": found, "warnings": result.warnings})
        return 0
    console = open_console()
    console.table(with_intervals(found))
    say(console, f"by {options.law}, in the unit of the fitted batches")
    for warning in result.warnings:
        say(console, f"! {warning}", style="yellow")
    return 0


def _sweep(options: TuneOptions) -> pd.DataFrame:
    """The table of the sweep; a study counts its batch in sequences."""
    points, _ = points_asked(options)
    if options.study is not None:
        points = points[points["status"] == State.DONE]
        points = points.assign(batch=points["batch"] * points["context"])
    return points


def _regret(laws: Any) -> dict[str, Any]:
    """What the laws cost where they were fitted, and where they were not if that can be told."""
    from scalinglab import analysis

    told = {
        "fitted_mean": laws.regret().mean(),
        "held_out_mean": None,
        "held_out_largest": None,
        "constant_mean": None,
        "cells": laws.sweep["cell"].nunique(),
    }
    try:
        table = analysis.held_out_regret(laws)
    except ValueError as error:  # too few cells to leave one out
        return told | {"why_not_held_out": str(error)}
    return told | {
        "held_out_mean": table["regret"].mean(),
        "each": table,
        "held_out_largest": table["regret"].max(),
        "constant_mean": table["constant"].mean(),
    }


def _show(answer: dict[str, Any]) -> None:
    from scalinglab.analysis.reporting.answer import with_intervals

    console, told = open_console(), answer["regret"]
    console.table(with_intervals(answer["recommended"]))
    say(
        console,
        f"excess loss of the runs nearest to such a choice, {told['cells']} (N, D) that "
        f"were fitted: {told['fitted_mean']:.3%} on average",
    )
    if told["held_out_mean"] is None:
        say(console, f"! {told['why_not_held_out']}", style="yellow")
        return
    say(
        console,
        f"each left out in turn: {told['held_out_mean']:.3%} on average, "
        f"{told['held_out_largest']:.2%} at most; one pair kept for all: "
        f"{told['constant_mean']:.3%}",
    )
    if told["held_out_mean"] >= told["constant_mean"]:
        say(console, "! the laws do no better than one pair kept for all", style="yellow")


VERBS = {
    "tune": Verb(
        "recommend a learning rate and a batch from a sweep",
        "scaling tune data=FILE | study=NAME N=[...] D=[...] | losses=[...]",
        tune_verb,
        TuneOptions,
    ),
}
