"""The verb that chooses a learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from scalinglab.as_json import print_json
from scalinglab.options import RESAMPLES, option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.text.shell import override
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.deciding import FitOptions, fit_asked, points_asked

_LAW = "multi_power"


@dataclass(frozen=True)
class ScheduleOptions(FitOptions):
    """Options of ``scaling schedule``: those of a fit of whole curves, and the constraints."""

    steps: int | None = option("the length of the run", None)
    peak: float | None = option(
        "no step exceeds it; the highest rate of the fitted curves if not given", None
    )
    warmup: int = option("steps from zero to the peak", 0)
    final_ratio: float = option("no step goes below this part of the peak", 0.0)
    monotone: bool = option("the rate never rises after the warm-up", True)
    N: float | None = option("the size, for laws that read it", None)
    to: str | None = option("a CSV to write it to, for schedule=file", None)
    refits: bool = option("judge the gain by fits without one curve each, too", True)
    law: str | None = option("a law of curves; a study's own, or multi_power", None)
    resamples: int = option("refits for the intervals; 0 for none", 200, RESAMPLES)


def schedule_verb(arguments: Sequence[str]) -> int:
    """Choose the schedule of least predicted loss: scaling schedule study=NAME steps=20000.

    Fits a law of whole curves (run, step, lr, loss: a file, or the study's runs with the role
    "curve"), searches the schedule within peak, warmup (steps), final_ratio and monotone, and says
    what it is predicted to gain over cosine, linear and WSD, by the fit's resamples and by fits
    without one curve each. to=best.csv writes it for schedule=file.
    """
    from scalinglab import analysis
    from scalinglab.options import read_options

    options = read_options(ScheduleOptions, arguments)
    if options.steps is None:
        raise ConfigError("steps is not set; give the length of the run, as in steps=20000")
    if options.to is not None and not options.to.endswith(".csv"):
        raise ConfigError(f"to = {options.to!r}: the schedule is written as a .csv")
    options = replace(options, law=options.law or _own_law(options))
    curves, law = points_asked(options, options.law)
    result = fit_asked(options)
    if options.save:
        result.save(options.save)
    refits = _refits(options, curves, law) if options.refits else []
    peak = float(curves["lr"].max()) if options.peak is None else options.peak
    best = analysis.best_schedule(
        result,
        options.steps,
        peak=peak,
        warmup=options.warmup,
        refits=refits,
        N=options.N,
        final_ratio=options.final_ratio,
        monotone=options.monotone,
        level=options.level,
    )
    if options.to is not None:
        best.write(options.to)
    if options.json:
        print_json(
            {
                "law": law,
                "peak": peak,
                **best.loss,
                "schedule": best.table,
                "gains": best.gains,
                "warnings": best.warnings,
                "written": options.to,
            }
        )
    else:
        _show(best, options, peak)
    return 0


def _own_law(options: ScheduleOptions) -> str:
    from scalinglab import analysis

    if options.study is None:
        return _LAW
    return analysis.study_plan(options.outputs, options.study).study.answer.curve_law


def _refits(options: ScheduleOptions, curves: Any, law: str) -> list[Any]:
    from scalinglab import analysis

    return analysis.refit_without_each(
        law,
        curves,
        columns=options.columns or None,
        delta=options.delta,
        mix_fingerprints=options.mix_fingerprints,
    )


def _show(best: Any, options: ScheduleOptions, peak: float) -> None:
    from scalinglab.analysis.reporting.answer import with_intervals

    console = open_console()
    console.table(with_intervals(best.table))
    low, high = (best.loss.get(f"loss_{end}", math.nan) for end in ("lower", "upper"))
    between = "" if math.isnan(low) else f" ({low:.4f} to {high:.4f})"
    say(
        console,
        f"predicted last loss {best.loss['loss']:.4f}{between}; found in "
        f"{best.seconds:.1f} s. What it gains:",
    )
    shown = with_intervals(best.gains).rename(
        columns={"share": "resamples agree", "refits_agree": "refits agree"}
    )
    console.table(shown)
    for warning in best.warnings:
        say(console, f"! {warning}", style="yellow")
    if options.to is not None:
        say(
            console,
            f"written: scaling train schedule=file {override('schedule.path', options.to)} "
            f"optimizer.lr={peak:g} trains it, in a run of {options.steps} steps",
        )


VERBS = {
    "schedule": Verb(
        "choose the learning-rate schedule of least predicted loss",
        "scaling schedule study=NAME | data=FILE steps=N [peak=LR to=best.csv ...]",
        schedule_verb,
        ScheduleOptions,
    ),
}
