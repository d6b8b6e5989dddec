"""A verdict as one HTML page."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from scalinglab.analysis.reporting.cells import columns_of
from scalinglab.analysis.reporting.citations import bibtex
from scalinglab.analysis.reporting.facts import facts_of_verdict
from scalinglab.analysis.reporting.page import Download, Section
from scalinglab.analysis.reporting.study_page import study_page
from scalinglab.analysis.reporting.verdict import Verdict
from scalinglab.analysis.tables.interval_text import intervals_in_cells
from scalinglab.analysis.tables.latex import latex
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.text.plain import plain

_LEADING = 2  # figures beside the answer; the others follow below its cautions


def write_verdict(verdict: Verdict, path: str | Path) -> Path:
    """Write a verdict as one HTML page; replaces the file whole."""
    path = Path(path)
    write_atomic(path.absolute(), verdict_html(verdict))
    return path


def verdict_html(verdict: Verdict) -> str:
    """The page of a verdict as a text."""
    tables = {title: intervals_in_cells(table) for title, table in verdict.finding.tables.items()}
    figures = verdict.finding.figures
    further = figures[_LEADING:]
    return study_page(
        verdict,
        verdict.headline(),
        verdict.sentences()[1:],
        figures[:_LEADING],
        [
            *([Section("Further figures", figures=further)] if further else []),
            *(Section(title, tables=[table]) for title, table in tables.items()),
        ],
        _downloads(verdict, tables),
    )


def _downloads(verdict: Verdict, tables: dict[str, pd.DataFrame]) -> list[Download]:
    name = verdict.study
    written = [
        latex(table, f"{title}, {name}", [c.texts for c in columns_of(table, len(table))])
        for title, table in tables.items()
        if len(table)
    ]
    facts = json.dumps(plain(facts_of_verdict(verdict)), indent=1, allow_nan=False)
    references = bibtex(verdict.finding.sources)
    return [
        Download("Tables (LaTeX, booktabs)", f"{name}.tex", "\n\n".join(written)),
        Download("References (BibTeX)", f"{name}.bib", references),
        Download("The verdict as data (JSON)", f"{name}.json", facts),
    ]
