"""The verb that splits budgets between model size and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.options import option
from scalinglab.scaling.config import ConfigError, one_of
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.deciding import FitOptions, fit_asked, points_asked

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.terminal import Screen

COSTS = ("6nd", "attention", "hours")


@dataclass(frozen=True)
class AllocateOptions(FitOptions):
    """Options of ``scaling allocate``: those of a fit, and what is asked of it."""

    budgets: list[float] = option(
        "FLOPs to split, or device-hours with cost=hours; a study's own if not given", []
    )
    cost: str = option("6nd, attention (causal attention, too) or hours (as the runs took)", "6nd")
    context: int | None = option("tokens in a sequence, for cost=attention on a file", None)
    aspect: float = option("width over depth, for the same", 64.0)
    inference_tokens: float = option("tokens that the model will serve", 0.0)
    losses: list[float] = option("nats/token: the cheapest way to each", [])
    sizes: list[float] = option(
        "with losses: the tokens on which models of N parameters reach them", []
    )
    batch: float | None = option("tokens a step: for the sizes, steps as well", None)
    splits: list[list[float]] = option("[N,D] each: what it leaves on the table", [])
    approaches: bool = option("envelope, IsoFLOP minima and surface side by side", False)
    budget: str | None = option("the column that says which runs are of one IsoFLOP budget", None)


def allocate_verb(arguments: Sequence[str]) -> int:
    """Split compute budgets between N and D: scaling allocate study=NAME budgets=[1e18,1e20].

    cost=6nd counts C as 6 N D, cost=attention adds causal attention, cost=hours takes the
    device-hours that the study's runs took; inference_tokens=1e12 adds what serving costs.
    losses=[2.5] asks for the cheapest way to a loss, with sizes=[1e9] also for the tokens on which
    a model of that size reaches it, with batch=5e5 in how many steps; splits=[[1e9,2e10]] for what
    other splits leave on the table. approaches=true puts the envelope, IsoFLOP minima and the
    surface side by side.
    """
    import pandas as pd

    from scalinglab import analysis
    from scalinglab.analysis.decisions.allocation import growth_in_words
    from scalinglab.analysis.reporting.facts import facts_of_allocation, facts_of_approaches
    from scalinglab.options import read_options

    options = read_options(AllocateOptions, arguments)
    one_of("cost", options.cost, COSTS)
    if (options.sizes and not options.losses) or (options.batch and not options.sizes):
        raise ConfigError(
            "sizes asks how many tokens models need to reach losses, batch how many"
            " steps: give all that are needed, as in losses=[2.5] sizes=[1e9]"
            " batch=5e5"
        )
    if any(len(split) != 2 for split in options.splits):
        raise ConfigError(f"splits = {options.splits}: each is [N, D], as in splits=[[1e9,2e10]]")
    budgets = _budgets(options)
    cost = _cost(options)
    result = fit_asked(options)
    if options.save:
        result.save(options.save)
    asked = {"cost": cost, "level": options.level}
    approaches = _approaches(options, result, budgets, asked) if options.approaches else None
    found = approaches.allocation if approaches else analysis.allocate(result, budgets, **asked)
    answer = facts_of_allocation(found) | {"counted": result.settings["counted"]}
    if options.losses:
        answer["cheapest"] = analysis.cheapest(result, options.losses, **asked)
    if options.sizes:
        answer["tokens_to_losses"] = _tokens_to_losses(options, result)
    if options.splits:
        splits = pd.DataFrame(options.splits, columns=["N", "D"])
        answer["splits"] = analysis.loss_left(result, splits, **asked)
    if approaches:
        answer["approaches"] = facts_of_approaches(approaches)
    if options.json:
        print_json(answer)
    else:
        _show(open_console(), answer, growth_in_words(found.exponents))
    return 0


def _tokens_to_losses(options: AllocateOptions, result: Any) -> pd.DataFrame:
    """What every size needs for every loss, one row each."""
    import pandas as pd

    from scalinglab import analysis

    return pd.concat(
        [
            analysis.tokens_to_loss(
                result, options.sizes, loss, batch=options.batch, level=options.level
            ).assign(target=loss)
            for loss in options.losses
        ],
        ignore_index=True,
    )


def _budgets(options: AllocateOptions) -> list[float]:
    from scalinglab import analysis

    if options.budgets:
        return options.budgets
    if options.study and options.cost != "hours":
        budgets = analysis.study_plan(options.outputs, options.study).study.answer.budgets
        if budgets:
            return budgets
    unit = (
        "device-hours, as in budgets=[100]"
        if options.cost == "hours"
        else ("FLOPs, as in budgets=[1e18,1e20]")
    )
    raise ConfigError(f"budgets is not set; give {unit}")


def _cost(options: AllocateOptions) -> Any:
    from scalinglab.analysis.decisions import cost_functions as costs

    cost = costs.SIX_ND
    if options.cost == "hours":
        cost = costs.measured_hours(points_asked(options)[0])
    elif options.cost == "attention":
        cost = _with_attention(options)
    return (
        costs.with_inference(cost, options.inference_tokens) if options.inference_tokens else (cost)
    )


def _with_attention(options: AllocateOptions) -> Any:
    """From the shapes of the study's runs; from context and aspect for a file without shapes."""
    from scalinglab.analysis.decisions import cost_functions as costs

    points, context = points_asked(options)[0], options.context
    if context is None and "context" in points:
        context = int(points["context"].iloc[0])
    if context is None:
        raise ConfigError("context is not set; cost=attention needs the tokens in a sequence")
    if {"depth", "width"} <= set(points):
        return costs.with_attention(context, costs.shape_of_runs(points))
    return costs.with_attention(context, costs.shape_by_aspect(options.aspect))


def _approaches(
    options: AllocateOptions, result: Any, budgets: list[float], asked: dict[str, Any]
) -> Any:
    """All three approaches; the third is the fit that there is, under the law's own names."""
    from scalinglab import analysis
    from scalinglab.analysis.tables.factors import with_multiples
    from scalinglab.analysis.tables.points import read_points, rename

    points, _ = points_asked(options)
    kept = read_points(
        result.law,
        points,
        columns=options.columns,
        exclude=options.exclude,
        mix_fingerprints=options.mix_fingerprints,
    ).rows
    surface = replace(result, columns={name: name for name in result.columns})
    points = rename(with_multiples(points.iloc[kept], options.columns), options.columns)
    return analysis.compare_approaches(
        points,
        budgets,
        surface=surface,
        budget=options.budget,
        resamples=options.resamples,
        seed=options.seed,
        **asked,
    )


def _show(console: Screen, answer: dict[str, Any], grown: str) -> None:
    warnings = list(answer["warnings"])
    counted = [f"{name} = {how}" for name, how in answer["counted"].items()]
    say(console, ", ".join([f"C = {answer['cost']}", *counted]))
    _table(console, answer["budgets"])
    say(console, grown)
    if "cheapest" in answer:
        say(console, "\nthe cheapest way to a loss")
        _table(console, answer["cheapest"])
    if "tokens_to_losses" in answer:
        say(console, "\ntokens on which a size reaches a loss")
        found = answer["tokens_to_losses"]
        _table(console, found[["target", *found.columns.drop("target")]])
    if "splits" in answer:
        say(console, "\nwhat other splits leave on the table")
        _table(console, answer["splits"])
    if "approaches" in answer:
        _show_approaches(console, answer["approaches"])
        warnings += answer["approaches"]["warnings"]  # the surface's among them, again
    for warning in dict.fromkeys(warnings):
        say(console, f"! {warning}", style="yellow")


def _show_approaches(console: Screen, found: dict[str, Any]) -> None:
    from scalinglab.analysis.decisions.approaches import refusals_in_words

    say(console, "\nthree approaches: N* grows as C^a, D* as C^b")
    _table(console, found["exponents"])
    say(console, "")
    _table(console, found["budgets"])
    for sentence in refusals_in_words(found["refused"]):
        say(console, sentence, style="dim")


def _table(console: Screen, frame: pd.DataFrame) -> None:
    from scalinglab.analysis.reporting.answer import with_intervals

    console.table(with_intervals(frame))


VERBS = {
    "allocate": Verb(
        "split compute budgets between N and D",
        "scaling allocate study=NAME | data=FILE ['budgets=[1e18,1e20]'] [cost=6nd]",
        allocate_verb,
        AllocateOptions,
    ),
}
