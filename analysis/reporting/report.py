"""An answer as one self-contained HTML file: a sentence, its figure, warnings, then the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.arms.sentences import one_law_in_words
from scalinglab.analysis.judgement.multiverse import IN_WORDS
from scalinglab.analysis.plot.labels import ERROR
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.citations import bibtex
from scalinglab.analysis.reporting.facts import facts_of_answer, facts_without_law
from scalinglab.analysis.reporting.law_in_words import how_fitted
from scalinglab.analysis.reporting.page import Details, Download, Section
from scalinglab.analysis.reporting.report_arms import arms_in_latex, arms_sections
from scalinglab.analysis.reporting.report_comparisons import (
    HEADINGS,
    SPLITS,
    approaches_section,
    laws_section,
)
from scalinglab.analysis.reporting.report_figures import (
    ReportFigures,
    figures_without_law,
)
from scalinglab.analysis.reporting.report_outlook import outlook_sections
from scalinglab.analysis.reporting.study_page import study_page
from scalinglab.analysis.tables.interval_text import as_objects, parameter_text, with_intervals
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.text.plain import plain

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.multiverse import Multiverse
    from scalinglab.analysis.reporting.reported_runs import ReportedRuns, RunsWithoutLaw

_METHODS = "Hoffmann et al. 2022, arXiv:2203.15556"  # the objective and the three approaches
_NOT_IDENTIFIED = "Not identified"  # of parameters, at the start of a warning
_LETTERS = ("C", "N", "D")  # of compute, parameters and tokens
_LATEX = "Tables (LaTeX, booktabs)"
_OF_CURVES = {
    "points": "measured steps",
    "r2": "R²",
    "mae": "mean absolute error (nats/token)",
    "final": "measured final loss",
    "predicted": "predicted final loss",
    "error": ERROR,
}
_PARABOLA = "arXiv:2603.22339"


def write_report(answer: Answer | RunsWithoutLaw, path: str | Path) -> Path:
    """Write the report of a study; replaces the file whole.

    Returns
    -------
    Path
        Where it was written.
    """
    path = Path(path)
    text = report_html(answer) if isinstance(answer, Answer) else html_without_law(answer)
    write_atomic(path.absolute(), text)
    return path


def report_html(answer: Answer) -> str:
    """The report as a text."""
    figures = ReportFigures(answer)
    sections = [
        *arms_sections(answer.outlook),
        *_allocation(answer, figures),
        *approaches_section(answer),
        *_law(answer, figures),
        *_held_out(answer),
        *laws_section(answer),
        *_multiverse(answer, figures),
        *_curves(answer, figures),
        *_outlook(answer),
    ]
    return study_page(
        answer,
        answer.headline(),
        answer.beside_headline(),
        figures.leading(),
        sections,
        _downloads(answer),
        answer.terms(),
    )


def html_without_law(study: RunsWithoutLaw) -> str:
    """The report of a study whose runs do not determine its law: its runs and their losses."""
    facts = json.dumps(plain(facts_without_law(study)), indent=1, allow_nan=False)
    tables = arms_in_latex(study.outlook)
    return study_page(
        study,
        study.headline(),
        study.sentences()[1:],
        figures_without_law(study),
        [*arms_sections(study.outlook), *_outlook(study)],
        [
            *([Download(_LATEX, f"{study.study}.tex", "\n\n".join(tables))] if tables else []),
            Download("The runs as data (JSON)", f"{study.study}.json", facts),
        ],
    )


def _law(answer: Answer, figures: ReportFigures) -> list[Section]:
    law = answer.law
    if answer.compares_arms:
        return [_one_law(answer, figures)]
    return [
        Section(
            f"The law: {law.law.name}",
            f"{law.law.formula} ({law.law.source})",
            tables=[_overview(law)],
            figures=figures.law(),
            listing=how_fitted(law),
        )
    ]


def _one_law(answer: Answer, figures: ReportFigures) -> Section:
    """The law of all recipes together, on demand where the recipes have their own."""
    law, compared = answer.law, answer.compared
    text = "One law is fitted to the runs of all recipes, as if they were one."
    if compared is None or compared.result is None:
        text = f"{law.law.formula} ({law.law.source}). {text}"
        shown: dict[str, Any] = {"tables": [_overview(law)], "listing": how_fitted(law)}
    else:
        verdict = one_law_in_words(compared.sharing)
        text = f"{verdict} The comparison of the recipes does not use this law."
        title = "Its parameters, and how it was fitted"
        shown = {"details": Details(title, "", _overview(law), how_fitted(law))}
    title = f"One law for all recipes together: {law.law.name}"
    return Section(title, text, figures=figures.law(), **shown)


def _overview(law: Result) -> pd.DataFrame:
    """The parameters, a value with its interval in one cell; of a mixture its laws and shares."""
    table = law.overview.reset_index()
    if "value" not in table:
        return table
    table = table.rename(columns={"lower": "value_lower", "upper": "value_upper"})
    table = table.drop(columns="standard_error", errors="ignore")
    texts = as_objects([parameter_text(row) for row in records_of(table)])
    return with_intervals(table).assign(value=texts)


def _held_out(answer: Answer) -> list[Section]:
    if answer.held_out.empty:
        return []
    error = [f"{e:+.2%}" for e in answer.held_out["error"]]
    table = answer.held_out.drop(columns=["C", "impossible"]).assign(error=error)
    table = table.rename(columns={"lower": "predicted_lower", "upper": "predicted_upper"})
    table = with_intervals(table).rename(columns={"covered": "inside its interval", "error": ERROR})
    return [Section("Held-out runs: predicted and measured loss", tables=[table])]


def _allocation(answer: Answer, figures: ReportFigures) -> list[Section]:
    captioned = figures.splits()
    if answer.allocation is None:
        return [Section("IsoFLOP curves", figures=captioned)] if captioned else []
    table = with_intervals(answer.allocation.table, SPLITS)
    table = table.rename(columns={**HEADINGS, "inside": "inside the fitted range"})
    return [
        Section("How to split a budget", answer.choice_of_budgets(), [table]),
        *([Section(figures=captioned)] if captioned else []),  # below the numbers they show
    ]


def _multiverse(answer: Answer, figures: ReportFigures) -> list[Section]:
    multiverse = answer.multiverse
    if multiverse is None:
        return []
    return [
        Section(
            "How the answer varies with the analysis choices",
            " ".join([*multiverse.sentences(), *_as_scored(answer, multiverse)]),
            tables=[_shares(multiverse)],
            figures=figures.multiverse(),
        )
    ]


def _as_scored(answer: Answer, multiverse: Multiverse) -> list[str]:
    """That variants fit to all runs what the comparison of laws fitted to the larger ones."""
    if answer.laws is None or "law" not in multiverse.table:
        return []
    windows = answer.laws.table["window"].reindex(multiverse.table["law"].unique()).dropna()
    cut = [f"{law} without the smallest {window:.0%}" for law, window in windows.items() if window]
    if not cut:
        return []
    return [
        f"A variant fits its law to all the runs that its choices leave; compared above, by what"
        f" they predict, were {' and '.join(cut)}."
    ]


def _shares(multiverse: Multiverse) -> pd.DataFrame:
    """How much each choice matters, and what is chosen."""
    table = with_intervals(multiverse.shares_in_words())
    choices = [f"{choice}: {IN_WORDS[choice]}" for choice in multiverse.shares["choice"]]
    return table.assign(choice=choices)


def _curves(answer: Answer, figures: ReportFigures) -> list[Section]:
    law = answer.curve_law
    if law is None:
        return []
    error = [f"{e:+.2%}" for e in answer.curve_check["error"]]
    # Where schedules are the question, these stand among the warnings of the page.
    failed = "" if answer.asks_schedules else answer.curve_law_failed()
    about = "Schedules of the same runs, and what the law says of them. The table is of curves that"
    careful = "" if answer.asks_schedules else ". ".join(w[0].upper() + w[1:] for w in law.warnings)
    careful = careful.replace(_NOT_IDENTIFIED, f"{_NOT_IDENTIFIED} in the curve law", 1)
    return [
        Section(
            f"The curve law: {law.law.name}",
            f"{failed} {about} were held out.".lstrip(),
            tables=[_with_ends(answer.curve_check.assign(error=error)).rename(columns=_OF_CURVES)],
            figures=figures.curves(),
        ),
        Section(
            text=f"{careful}{'. ' * bool(careful)}Parameters:",
            tables=[_of_curve_law(law, answer.law)],
            listing=how_fitted(law),
        ),
    ]


def _of_curve_law(law: Result, other: Result) -> pd.DataFrame:
    """The parameters of a curve law; it says whose they are where letters have two meanings."""
    table = _overview(law)
    taken = {*other.law.names, *_LETTERS}
    names = [f"{n} (of the curve law)" if n in taken else n for n in table["parameter"]]
    return table.assign(parameter=names)


def _with_ends(check: pd.DataFrame) -> pd.DataFrame:
    """Held-out curves with the prediction's interval beside it, in one cell."""
    ends = {"lower": "predicted_lower", "upper": "predicted_upper"}
    return with_intervals(check.rename(columns=ends))


def _outlook(answer: ReportedRuns) -> list[Section]:
    return [] if answer.outlook is None else outlook_sections(answer.outlook)


def _downloads(answer: Answer) -> list[Download]:
    law = _overview(answer.law)
    texts = [[str(value) for value in law[name]] for name in law]
    together = ", of all recipes together" if answer.compares_arms else ""
    caption = (
        f"{answer.law.law.name} fitted to {answer.law.points} runs of {answer.study}{together}"
    )
    tables = [latex(law, caption, texts)]
    sources = [answer.law.law.source, _METHODS]
    tables += arms_in_latex(answer.outlook)
    if answer.allocation is not None:
        split = with_intervals(answer.allocation.table, SPLITS)
        texts = [[str(value) for value in split[name]] for name in split]
        tables.append(latex(split, f"Best splits of compute budgets, {answer.counted}", texts))
    if answer.approaches is not None:
        sources.append(_PARABOLA)
    if answer.curve_law is not None:
        sources.append(answer.curve_law.law.source)
    if answer.laws is not None:
        sources += answer.laws.references()
    facts = json.dumps(plain(facts_of_answer(answer)), indent=1, allow_nan=False)
    return [
        Download(_LATEX, f"{answer.study}.tex", "\n\n".join(tables)),
        Download("References (BibTeX)", f"{answer.study}.bib", bibtex(sources)),
        Download("The answer as data (JSON)", f"{answer.study}.json", facts),
    ]
