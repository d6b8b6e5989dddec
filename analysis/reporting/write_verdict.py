"""A verdict as one HTML page."""

from __future__ import annotations

import json
from pathlib import Path

from scalinglab.analysis.reporting.facts import facts_of_verdict
from scalinglab.analysis.reporting.page import Download, Section, page
from scalinglab.analysis.reporting.verdict import Verdict
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.text.plain import plain


def write_verdict(verdict: Verdict, path: str | Path) -> Path:
    """Write a verdict as one HTML page; replaces the file whole."""
    finding, path = verdict.finding, Path(path)
    sections = [Section(title, tables=[table]) for title, table in finding.tables.items()]
    facts = json.dumps(plain(facts_of_verdict(verdict)), indent=1, allow_nan=False)
    text = page(
        verdict.study,
        verdict.question,
        verdict.sentences()[1:],
        verdict.cautions(),
        sections,
        verdict.outputs,
        headline=verdict.headline(),
        leading=finding.figures,
        downloads=[Download("The verdict as data (JSON)", f"{verdict.study}.json", facts)],
    )
    write_atomic(path.absolute(), text)
    return path
