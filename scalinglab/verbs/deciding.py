"""The verbs that fit laws to runs and decide by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.verb import Verb, open_console, say

if TYPE_CHECKING:
    from scalinglab.terminal import Screen


@dataclass(frozen=True)
class SourceOptions:
    """Where the runs of a verb come from: a study, or a file made elsewhere."""

    study: str | None = option("the study whose runs are read", None)
    outputs: str = option("the folder of all runs", "outputs")
    data: str | None = option(
        "in place of a study: a file or folder made elsewhere, read as by scaling import", None
    )
    columns: dict[str, Any] = option(
        "columns.N=params says which is N, columns.N='params_m * 1e6'"
        " in which unit, columns.loss=loss.STORE which is the loss",
        {},
    )
    mix_fingerprints: bool = option("take runs of several versions of the code together", False)
    unit: str | None = option(
        "of the losses in that file: nats, bits, bits_per_byte or perplexity", None
    )
    json: bool = option("print one JSON object; --json says the same", False)


@dataclass(frozen=True)
class PointsOptions(SourceOptions):
    """Runs as points of a law: how a study counts them."""

    n_count: str | None = option(
        "what N counts in a study: n_matmul (its own if not given), n_block or n_total", None
    )
    flops: str = option("what C counts in a study: causal, matmul, kaplan, palm, ...", "causal")


@dataclass(frozen=True)
class FitOptions(PointsOptions):
    """Options of every verb that fits a law first."""

    law: str | None = option("the law's name; a study's own, or chinchilla", None)
    resamples: int = option("refits for the intervals; 0 for none", 1000, RESAMPLES)
    seed: int = option("of the resamples", 0, SEED)
    exclude: list[str] = option(
        "rows to leave out, by name (unmeasured, unfinished, mid_schedule)"
        " or condition: 'exclude=[unmeasured,D < 1e9]'",
        [],
    )
    delta: float = option("Huber's, on log residuals", 1e-3)
    level: float = option("of the intervals", 0.95, LEVEL)
    widen: bool = option(
        "widen intervals of a study's losses by the record of earlier forecasts", True
    )
    save: str | None = option("a JSON file for the fit: analysis.read_fit reads it", None)


@dataclass(frozen=True)
class OneFitOptions(FitOptions):
    """Options of ``scaling fit``."""

    x: str | None = option("of a law in one variable: the column that varies", None)


@dataclass(frozen=True)
class ReportOptions:
    """Options of ``scaling report``."""

    study: str = option("whose question is answered")
    outputs: str = option("the folder of all runs", "outputs")
    to: str | None = option("the page; outputs/studies/NAME/report.html if not given", None)
    resamples: int = option("refits for the intervals; 0 for none", 1000, RESAMPLES)
    mix_fingerprints: bool = option("take runs of several versions of the code together", False)
    arm: str | None = option("a setting whose two values are compared: optimizer.name", None)
    between: list[str] = option("baseline and the other, where the arm has more values", [])
    multiverse: bool = option("answer under every choice, too: some fifty fits more", True)
    widen: bool = option("widen intervals of losses by the record of earlier forecasts", True)
    columns: dict[str, Any] = option(
        "columns.loss=loss.STORE: the measured column that is the loss", {}
    )
    json: bool = option("print one JSON object; --json says the same", False)


def fit_verb(arguments: Sequence[str]) -> int:
    """Fit a law: scaling fit study=NAME, or scaling fit law=chinchilla data=points.csv columns.N=n.

    A study is fitted by its own law to its runs with the role "fit"; law=... chooses another.
    """
    from scalinglab.analysis.reporting.facts import facts_of_fit
    from scalinglab.options import read_options

    options = read_options(OneFitOptions, arguments)
    result = fit_asked(options, **({} if options.x is None else {"x": options.x}))
    if options.save:
        result.save(options.save)
    if options.json:
        print_json(facts_of_fit(result) | {"saved": options.save})
        return 0
    console = open_console()
    say(console, result.report())
    if options.save:
        say(console, f"saved to {options.save}")
    return 0


def fit_asked(options: FitOptions, **more: Any) -> Any:
    """The fit that the options ask for; `more` goes to `analysis.fit`."""
    from scalinglab import analysis
    from scalinglab.analysis.forecasts.track import calibrated

    runs, law = points_asked(options, options.law)
    result = analysis.fit(
        law,
        runs,
        columns=options.columns or None,
        resamples=options.resamples,
        seed=options.seed,
        delta=options.delta,
        level=options.level,
        exclude=options.exclude,
        mix_fingerprints=options.mix_fingerprints,
        **more,
    )
    if options.study is None or not options.widen:
        return result
    return calibrated(result, options.outputs, options.study)


def points_asked(options: PointsOptions, law: str | None = None) -> tuple[Any, str]:
    """The table that the options name, and the law: `law`, or else what the study asks for."""
    from scalinglab import analysis
    from scalinglab.analysis.tables.runs import require

    check_source(options)
    if options.data is not None:
        if options.n_count:
            raise ConfigError(
                "n_count says what N counts in a study; in a file columns.N=NAME does"
            )
        law = law or "chinchilla"
        return file_asked(options, law), law
    answer = analysis.study_plan(options.outputs, options.study).study.answer
    law = law or answer.law
    if analysis.LAWS[law].curve if law in analysis.LAWS else False:
        curves = analysis.load_curves(options.outputs, study=options.study, role="curve")
        require(curves, options.outputs, options.study, "curve")
        seen = curves[curves["schedule"] != answer.curve_held_out]
        if seen.empty:
            raise ConfigError(
                f"every finished curve of study {options.study!r} has the schedule"
                f" {answer['curve_held_out']!r}, which is held out: scaling launch"
                f" study={options.study} trains what is left"
            )
        return seen.drop(columns="cluster"), law
    runs = analysis.load(
        options.outputs,
        study=options.study,
        role="fit",
        n_count=options.n_count or "n_matmul",
        flops=options.flops,
    )
    require(runs, options.outputs, options.study, "fit")
    _check_count(options, runs)
    return runs, law


def _check_count(options: PointsOptions, runs: Any) -> None:
    """Refuse a count of N that imported runs do not have."""
    others = sorted(set(runs["n_count"].dropna()) - {options.n_count})
    if options.n_count and others:
        raise ConfigError(
            f"n_count = {options.n_count!r}: study {options.study!r} was imported with N ="
            f" {others[0]} alone; columns.vocab and columns.width at the import give other counts"
        )


def loss_asked(columns: Mapping[str, str]) -> str | None:
    """The column of a study that is taken as the loss; no other can be renamed there."""
    for name in columns:
        if name != "loss":
            raise ConfigError(
                f"columns.{name} is for data=FILE; of a study columns.loss names the"
                " measured column that is compared, as in columns.loss=loss.STORE"
            )
    return columns.get("loss")


def check_source(options: SourceOptions) -> None:
    """Refuse anything but one study or one file."""
    if (options.data is None) == (options.study is None):
        raise ConfigError("name what is fitted: either data=FILE or study=NAME")


def file_asked(options: SourceOptions, law: str) -> Any:
    """The table in a file that a law is fitted to, as `scaling import` reads it."""
    from scalinglab import analysis

    return analysis.read_table(
        options.data, law, columns=options.columns, unit=options.unit, x=getattr(options, "x", None)
    )


def report_verb(arguments: Sequence[str]) -> int:
    """Answer a study's question in words and as one self-contained HTML file.

    A study whose answer.kind is not "law" gets the verdict of its kind: numbers, sentence, figure.
    Of others, runs that have not ended are forecast and earlier forecasts judged;
    arm=optimizer.name adds the comparison of two recipes. The largest budget is also answered under
    every choice of counts, law, objective and exclusion, some fifty fits more; multiverse=false
    leaves that out.
    """
    from scalinglab import analysis
    from scalinglab.analysis.reporting.facts import facts_of_answer
    from scalinglab.options import read_options

    options = read_options(ReportOptions, arguments)
    asked = analysis.study_plan(options.outputs, options.study).study.answer
    if asked.kind != "law":
        return _verdict(options)
    answer = analysis.answer_study(
        options.outputs,
        options.study,
        resamples=options.resamples,
        mix_fingerprints=options.mix_fingerprints,
        arm=options.arm,
        between=options.between,
        multiverse=options.multiverse,
        calibrate=options.widen,
        loss=loss_asked(options.columns),
    )
    return _told(
        options,
        lambda console: say(console, answer.text()),
        facts_of_answer(answer),
        lambda page: analysis.write_report(answer, page),
    )


def _verdict(options: ReportOptions) -> int:
    from scalinglab.analysis.reporting.verdict import facts_of_verdict, give_verdict, write_verdict

    verdict = give_verdict(options.outputs, options.study, loss_asked(options.columns))
    return _told(
        options,
        lambda console: _show_verdict(console, verdict),
        facts_of_verdict(verdict),
        lambda page: write_verdict(verdict, page),
    )


def _show_verdict(console: Screen, verdict: Any) -> None:
    from scalinglab.analysis.reporting.answer import with_intervals

    found = verdict.finding
    say(console, "\n\n".join([verdict.question, *found.sentences]))
    for title, table in found.tables.items():
        say(console, "")
        console.table(with_intervals(table), title=title)
    for warning in found.warnings:
        say(console, f"\n! {warning}", style="yellow")


def _told(
    options: ReportOptions,
    show: Callable[[Screen], None],
    facts: dict[str, Any],
    write: Callable[[Path], Path],
) -> int:
    """Say an answer in words, or as one JSON object, and write its page.

    The words come first: where the page cannot be written they are not lost.
    """
    console = open_console()
    if not options.json:
        show(console)
    path = write(Path(options.to or f"{options.outputs}/studies/{options.study}/report.html"))
    if options.json:
        print_json(facts | {"report": path})
    else:
        say(console, f"\nreport: {path}")
    return 0


VERBS = {
    "fit": Verb(
        "fit a law to a study or to a file",
        "scaling fit study=NAME | data=FILE [law=chinchilla columns.N=NAME ...]",
        fit_verb,
        OneFitOptions,
    ),
    "report": Verb(
        "answer a study's question; write the HTML report",
        "scaling report study=NAME [to=report.html] [arm=optimizer.name]",
        report_verb,
        ReportOptions,
    ),
}
