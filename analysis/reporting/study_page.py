"""The page of any study: what was found, then its logbook, its runs and their machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scalinglab.analysis.reporting.logbook import logbook
from scalinglab.analysis.reporting.page import Download, RunDetails, Section, page
from scalinglab.analysis.reporting.report_runs import (
    curves_of_runs,
    machine_sections,
    run_details,
    runs_sections,
)
from scalinglab.analysis.reporting.run_origins import attempts_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scalinglab.analysis.reporting.reported_runs import ReportedRuns


def study_page(
    study: ReportedRuns,
    headline: str,
    findings: Sequence[str],
    leading: Sequence[tuple[str, Figure]],
    sections: Sequence[Section],
    downloads: Sequence[Download],
    terms: str = "",
) -> str:
    """One form for the pages of laws, of runs without a law, and of verdicts.

    Parameters
    ----------
    study : ReportedRuns
    headline : str
        The answer in one sentence.
    findings : sequence of str
        A sentence or paragraph each, below it.
    leading : sequence of (caption, Figure)
        What supports the answer.
    sections : sequence of Section
        The rest of the answer; the sections on the runs follow.
    downloads : sequence of Download
    terms : str
        What the symbols of the headline stand for.
    """
    return page(
        study.title,
        study.question,
        findings,
        study.cautions(),
        [
            *sections,
            *logbook(study.outputs, study.study),
            *runs_sections(study),
            *machine_sections(study),
        ],
        study.outputs,
        headline=headline,
        terms=terms,
        leading=leading,
        downloads=downloads,
        runs=RunDetails(
            run_details(study),
            curves_of_runs(study),
            attempts_of(study.outputs, study.runs["run_id"]),
        ),
    )
