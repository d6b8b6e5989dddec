"""An answer as one self-contained HTML file: a sentence, its figure, what to doubt, then the rest."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.decisions.approaches import refusals_in_words
from scalinglab.analysis.fitting.fit_text import render
from scalinglab.analysis.plot.labels import SHARES, power, short
from scalinglab.analysis.reporting.citations import bibtex
from scalinglab.analysis.reporting.facts import facts_of_answer
from scalinglab.analysis.reporting.page import Download, RunDetails, Section, page
from scalinglab.analysis.reporting.report_figures import ReportFigures, run_curves
from scalinglab.analysis.reporting.report_outlook import outlook_sections
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.in_words import with_intervals
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.runs import FLOPS
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import BY_SIZE
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.text.plain import plain

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.reporting.answer import Answer

# Columns of counts and compute, as figures write them.
_WRITTEN = {"N": short, "D": short, "C": power}
_HOW = ("Fit", "Correlations", "Held out")  # sections of a fit's text that no table shows
_METHODS = "Hoffmann et al. 2022, arXiv:2203.15556"  # the objective and the three approaches
_PARABOLA = "arXiv:2603.22339"
_CURVES, _CURVE_POINTS = 150, 40  # runs whose curves a page holds, and points of each


def write_report(answer: Answer, path: str | Path) -> Path:
    """Write the report of an answer; replaces the file whole.

    Returns
    -------
    Path
        Where it was written.
    """
    path = Path(path)
    write_atomic(path.absolute(), report_html(answer))
    return path


def report_html(answer: Answer) -> str:
    """The report as a text."""
    figures = ReportFigures(answer)
    sections = [
        *_allocation(answer, figures),
        *_approaches(answer),
        *_law(answer, figures),
        *_held_out(answer),
        *_laws(answer),
        *_multiverse(answer, figures),
        *_curves(answer, figures),
        *_outlook(answer),
        *_runs(answer),
        *_machines(answer),
    ]
    return page(
        answer.study,
        answer.question,
        answer.beside_headline(),
        _warnings(answer),
        sections,
        answer.outputs,
        headline=answer.headline(),
        leading=figures.leading(),
        downloads=_downloads(answer),
        runs=RunDetails(_details(answer), _run_curves(answer)),
    )


def _warnings(answer: Answer) -> list[str]:
    warnings = list(answer.law.warnings)
    if answer.allocation is not None:
        warnings += answer.allocation.warnings
    if answer.outlook is not None and answer.outlook.arms is not None:
        warnings += [f"arms: {warning}" for warning in answer.outlook.arms.warnings]
    if answer.curve_law is not None:
        warnings += [f"curve law: {warning}" for warning in answer.curve_law.warnings]
    return warnings


def _law(answer: Answer, figures: ReportFigures) -> list[Section]:
    law = answer.law
    text = f"{law.law.formula} ({law.law.source})"
    return [
        Section(
            f"The law: {law.law.name}",
            text,
            tables=[_overview(law)],
            figures=figures.law(),
            listing=_how(law),
        )
    ]


def _how(law: Result) -> str:
    """How a law was fitted, as text; its parameters and warnings stand elsewhere."""
    return render(law, _HOW).replace("[[", "").replace("]]", "")


def _overview(law: Result) -> pd.DataFrame:
    """The parameters, a value with its interval in one cell; the laws and their shares of a mixture."""
    table = law.overview.reset_index()
    if "value" not in table:
        return table
    table = table.rename(columns={"lower": "value_lower", "upper": "value_upper"})
    return with_intervals(table.drop(columns="standard_error", errors="ignore"))


def _held_out(answer: Answer) -> list[Section]:
    if answer.held_out.empty:
        return []
    error = [f"{e:+.2%}" for e in answer.held_out["error"]]
    table = answer.held_out.drop(columns=["C", "impossible"]).assign(error=error)
    return [Section("Held-out runs: predicted and measured loss", tables=[table])]


def _laws(answer: Answer) -> list[Section]:
    if answer.laws is None:
        return []
    title = "Laws compared: what each predicts of budgets that it has not seen"
    return [Section(title, answer.laws.sentence(), tables=[answer.laws.shown()])]


def _allocation(answer: Answer, figures: ReportFigures) -> list[Section]:
    shown = figures.splits()
    if answer.allocation is None:
        return [Section("IsoFLOP curves", figures=shown)] if shown else []
    title = f"How to split a budget ({answer.counted})"
    return [
        Section(title, tables=[with_intervals(answer.allocation.table, _WRITTEN)], figures=shown)
    ]


def _approaches(answer: Answer) -> list[Section]:
    found = answer.approaches
    if answer.allocation is None or found is None:
        return []
    return [
        Section(
            text="Three approaches side by side: N* grows as C^a, D* as C^b.",
            tables=[with_intervals(found.exponents), with_intervals(found.table, _WRITTEN)],
            refused=refusals_in_words(found.refused),
        )
    ]


def _multiverse(answer: Answer, figures: ReportFigures) -> list[Section]:
    found = answer.multiverse
    if found is None:
        return []
    return [
        Section(
            "How the answer varies with the analysis choices",
            tables=[with_intervals(found.shares).rename(columns=SHARES)],
            figures=figures.multiverse(),
        )
    ]


def _curves(answer: Answer, figures: ReportFigures) -> list[Section]:
    law = answer.curve_law
    if law is None:
        return []
    error = [f"{e:+.2%}" for e in answer.curve_check["error"]]
    return [
        Section(
            f"The curve law: {law.law.name}",
            "Curves that were held out:",
            tables=[answer.curve_check.assign(error=error)],
            figures=figures.curves(),
        ),
        Section(text="Parameters:", tables=[_overview(law)], listing=_how(law)),
    ]


def _outlook(answer: Answer) -> list[Section]:
    return [] if answer.outlook is None else outlook_sections(answer.outlook)


def _runs(answer: Answer) -> list[Section]:
    return [Section("The runs", tables=[_run_table(answer)])]


def _run_table(answer: Answer) -> pd.DataFrame:
    arm = [] if answer.arm is None else [answer.arm]
    shown = [
        "run_id",
        "role",
        "status",
        *arm,
        "width",
        "depth",
        "N",
        "n_total",
        "D",
        "C",
        "lr",
        "schedule",
        "seed",
        "loss",
        "bpb",
        "cluster",
        "seconds",
    ]
    shown = [name for name in dict.fromkeys(shown) if answer.runs[name].notna().any()]
    runs = answer.runs[shown].astype({"C": float})
    # An imported file may have a C of its own, and so may what a program trained.
    if answer.runs["flops_convention"].isin([FLOPS, BY_SIZE]).all():
        runs = runs.rename(columns={"C": "C = 6 N D"})
    return runs


def _details(answer: Answer) -> pd.DataFrame:
    """What a page tells of one run: all columns that say something of it."""
    known = answer.runs.dropna(axis=1, how="all")
    return known.drop(columns=["study", "fingerprint"], errors="ignore")


def _run_curves(answer: Answer) -> dict[str, tuple[list, list]]:
    if len(answer.runs) > _CURVES:
        return {}
    try:
        curves = load_curves(answer.outputs, run_ids=answer.runs["run_id"])
    except (UserError, OSError):
        return {}  # an imported table has none
    return run_curves(curves, _CURVES, _CURVE_POINTS) if len(curves) else {}


def _downloads(answer: Answer) -> list[Download]:
    law = _overview(answer.law)
    texts = [[str(value) for value in law[name]] for name in law]
    caption = f"{answer.law.law.name} fitted to {answer.law.points} runs of {answer.study}"
    tables = [latex(law, caption, texts)]
    sources = [answer.law.law.source, _METHODS]
    if answer.allocation is not None:
        split = with_intervals(answer.allocation.table, _WRITTEN)
        texts = [[str(value) for value in split[name]] for name in split]
        tables.append(latex(split, f"Best splits of compute budgets, {answer.counted}", texts))
    if answer.approaches is not None:
        sources.append(_PARABOLA)
    if answer.curve_law is not None:
        sources.append(answer.curve_law.law.source)
    facts = json.dumps(plain(facts_of_answer(answer)), indent=1, allow_nan=False)
    return [
        Download("Tables (LaTeX, booktabs)", f"{answer.study}.tex", "\n\n".join(tables)),
        Download("References (BibTeX)", f"{answer.study}.bib", bibtex(sources, _version())),
        Download("The answer as data (JSON)", f"{answer.study}.json", facts),
    ]


def _version() -> str:
    try:
        return version("scaling-laboratory")
    except PackageNotFoundError:
        return "unknown"


def _machines(answer: Answer) -> list[Section]:
    if answer.machines.empty:
        return []
    return [Section("Machines and versions", tables=[answer.machines])]
