"""The verbs that fit laws to runs and decide by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaling.config import ConfigError
from scaling.verbs.as_json import print_json
from scaling.verbs.verb import Verb


@dataclass(frozen=True)
class FitOptions:
    """Options of ``scaling fit``, and of every verb that fits first."""

    law: str | None = None
    data: str | None = None  # a CSV or parquet file made elsewhere
    columns: dict[str, Any] = field(default_factory=dict)  # columns.N=params
    study: str | None = None
    outputs: str = "outputs"
    n_count: str = "n_matmul"
    flops: str = "causal"
    resamples: int = 1000
    seed: int = 0
    delta: float = 1e-3
    level: float = 0.95
    x: str | None = None  # of the one-variable laws
    mix_fingerprints: bool = False
    widen: bool = True  # intervals of a study's losses by the record of earlier forecasts
    save: str | None = None
    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class ReportOptions:
    """Options of ``scaling report``."""

    study: str
    outputs: str = "outputs"
    to: str | None = None
    resamples: int = 1000
    mix_fingerprints: bool = False
    arm: str | None = None  # a setting whose values are compared: optimizer.name
    between: list[str] = field(default_factory=list)  # baseline and the other, where there are more
    multiverse: bool = True  # refit under every choice, some fifty times
    widen: bool = True  # intervals of losses by the record of earlier forecasts
    json: bool = False  # print one JSON object


def fit_verb(arguments: Sequence[str]) -> int:
    """Fit a law: scaling fit study=NAME, or scaling fit law=chinchilla data=points.csv columns.N=n.

    A study is fitted by its own law to its runs with the role "fit"; law=... chooses another.
    json=true, or --json, prints one JSON object.
    """
    from analysis.reporting.facts import facts_of_fit
    from scaling.verbs.options import read_options

    options = read_options(FitOptions, arguments)
    result = fit_asked(options)
    if options.save:
        result.save(options.save)
    if options.json:
        print_json(facts_of_fit(result) | {"saved": options.save})
        return 0
    print(result.report())
    if options.save:
        print(f"saved to {options.save}")
    return 0


def fit_asked(options: FitOptions) -> Any:
    """The fit that the options ask for."""
    import analysis
    from analysis.forecasts.track import widening

    runs, law = points_asked(options)
    more = {} if options.x is None else {"x": options.x}
    result = analysis.fit(
        law, runs, columns=options.columns or None, resamples=options.resamples,
        seed=options.seed, delta=options.delta, level=options.level,
        mix_fingerprints=options.mix_fingerprints, **more,
    )
    if options.study is None or not options.widen:
        return result
    return result.widened_by(widening(options.outputs, options.study, options.level))


def points_asked(options: FitOptions) -> tuple[Any, str]:
    """The table that the options name, and the law."""
    import pandas as pd

    import analysis

    if (options.data is None) == (options.study is None):
        raise ConfigError("name what is fitted: either data=FILE or study=NAME")
    if options.data is not None:
        path = Path(options.data)
        if not path.is_file():
            raise ConfigError(f"data = {options.data!r}: there is no such file")
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        return read(path), options.law or "chinchilla"
    answer = analysis.study_plan(options.outputs, options.study)["study"]["answer"]
    law = options.law or answer["law"]
    if analysis.LAWS[law].curve if law in analysis.LAWS else False:
        curves = analysis.load_curves(options.outputs, study=options.study, role="curve")
        seen = curves[curves["schedule"] != answer["curve_held_out"]]
        return seen.assign(loss=seen["validation_loss"]).drop(columns="cluster"), law
    runs = analysis.load(options.outputs, study=options.study, role="fit",
                         n_count=options.n_count, flops=options.flops)
    return runs, law


def report_verb(arguments: Sequence[str]) -> int:
    """Answer a study's question in words and as one self-contained HTML file.

    A study whose answer.kind is not "law" gets the verdict of its kind: numbers, sentence, figure.
    Of others, runs that have not ended are forecast and earlier forecasts judged;
    arm=optimizer.name adds the comparison of two recipes. The largest budget is also answered under
    every choice of counts, law, objective and exclusion, some fifty fits more; multiverse=false
    leaves that out. json=true, or --json, prints one JSON object in place of the words.
    """
    import analysis
    from analysis.reporting.facts import facts_of_answer
    from scaling.verbs.options import read_options

    options = read_options(ReportOptions, arguments)
    asked = analysis.study_plan(options.outputs, options.study)["study"]["answer"]
    if asked.get("kind", "law") != "law":
        return _verdict(options)
    answer = analysis.answer_study(
        options.outputs, options.study, resamples=options.resamples,
        mix_fingerprints=options.mix_fingerprints, arm=options.arm, between=options.between,
        multiverse=options.multiverse, widen=options.widen,
    )  # fmt: skip
    path = _page(options)
    analysis.write_report(answer, path)
    return _told(options, answer.text(), facts_of_answer(answer), path)


def _verdict(options: ReportOptions) -> int:
    from analysis.reporting.verdict import facts_of_verdict, give_verdict, write_verdict

    verdict = give_verdict(options.outputs, options.study)
    path = write_verdict(verdict, _page(options))
    return _told(options, verdict.text(), facts_of_verdict(verdict), path)


def _page(options: ReportOptions) -> Path:
    return Path(options.to or f"{options.outputs}/studies/{options.study}/report.html")


def _told(options: ReportOptions, text: str, facts: dict[str, Any], path: Path) -> int:
    """Say an answer in words, or as one JSON object, and where its page lies."""
    if options.json:
        print_json(facts | {"report": path})
    else:
        print(text)
        print(f"\nreport: {path}")
    return 0


VERBS = {
    "fit": Verb("fit a law to a study or to a file",
                "scaling fit study=NAME | data=FILE [law=chinchilla columns.N=NAME ...]", fit_verb,
                FitOptions),
    "report": Verb("answer a study's question; write the HTML report",
                   "scaling report study=NAME [to=report.html] [arm=optimizer.name]", report_verb,
                   ReportOptions),
}
