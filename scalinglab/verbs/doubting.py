"""The verb that answers under every defensible choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.as_json import print_json
from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.deciding import SourceOptions, check_source, file_asked, loss_asked


@dataclass(frozen=True, kw_only=True)
class MultiverseOptions(SourceOptions):
    """Options of ``scaling multiverse``: where the runs are, and what is asked."""

    target: str = option("what is asked: 'N at C=1e13', 'loss at N=1e6 D=1e9', 'alpha'")
    n_columns: list[str] = option("columns of a file: how N may be counted", [])
    law: str | None = option("the first of two laws; a study's own, or chinchilla", None)
    exclude: list[str] = option(
        "rows that no fit takes, by name (unmeasured, unfinished,"
        " mid_schedule) or condition: 'exclude=[unmeasured,D < 1e9]'",
        [],
    )
    to: str | None = option("an .svg file for the figure", None)


def multiverse_verb(arguments: Sequence[str]) -> int:
    """Answer under every choice: scaling multiverse study=NAME target='N at C=1e13'.

    Refits with N counted in each way (a study's three; n_columns=[...] of a file), by two laws and
    three objectives, with all runs and without the smallest size or the fewest tokens, and says
    which choice the variance of the answers comes from. target is as for scaling next. to=FILE.svg
    draws it.
    """
    from scalinglab import analysis
    from scalinglab.analysis.reporting.facts import facts_of_multiverse
    from scalinglab.options import read_options

    options = read_options(MultiverseOptions, arguments)
    target = analysis.read_target(options.target)
    if options.to is not None and Path(options.to).suffix != ".svg":
        raise ConfigError(f"to = {options.to!r}: the figure is an .svg")
    found = _found(options, target)
    if options.to is not None:
        _draw(found, options.to)
    if options.json:
        print_json(facts_of_multiverse(found) | {"written": options.to})
        return 0
    _show(found)
    return 0


def _found(options: MultiverseOptions, target: Any) -> Any:
    from scalinglab import analysis
    from scalinglab.analysis.judgement import multiverse

    check_source(options)
    asked = {"mix_fingerprints": options.mix_fingerprints, "exclude": options.exclude}
    if options.study is not None:
        own = analysis.study_plan(options.outputs, options.study).study.answer.law
        return multiverse.study_multiverse(
            options.outputs,
            options.study,
            target,
            law=options.law or own,
            loss=loss_asked(options.columns),
            **asked,
        )
    law = options.law or "chinchilla"
    points = file_asked(options, law)
    for column in (*options.n_columns, "D", "loss", *([] if options.n_columns else ["N"])):
        if column not in points:
            raise ConfigError(f"the table has no column {column!r}; it has {', '.join(points)}")
    counted = {name: points.assign(N=points[name]) for name in options.n_columns}
    return multiverse.table_multiverse(counted or {"as given": points}, target, law=law, **asked)


def _draw(found: Any, to: str) -> None:
    from scalinglab.analysis.reporting.figures import multiverse
    from scalinglab.analysis.reporting.page import svg
    from scalinglab.scaling.records.atomic import write_atomic

    figure = multiverse(found)
    if figure is None:
        raise ConfigError("there is nothing to draw: no choice has two options with an answer")
    write_atomic(Path(to).absolute(), svg(figure))


def _show(found: Any) -> None:
    from scalinglab.analysis.reporting.answer import with_intervals

    console = open_console()
    say(console, found.sentence())
    console.table(with_intervals(found.shares))
    for why, own in found.table[found.table["why"] != ""].groupby("why"):
        say(console, f"! {len(own)} ways give no answer: {why}", style="yellow")


VERBS = {
    "multiverse": Verb(
        "refit under every defensible choice; which one the answer hangs on",
        "scaling multiverse study=NAME | data=FILE target='N at C=1e13' [to=x.svg]",
        multiverse_verb,
        MultiverseOptions,
    ),
}
