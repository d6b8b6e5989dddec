"""An answer as one self-contained HTML file: words, tables, figures; no script, no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab.analysis.reporting import page
from scalinglab.analysis.reporting.answer import with_intervals
from scalinglab.analysis.reporting.facts import refusals_in_words
from scalinglab.scaling.records.atomic import write_atomic

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.answer import Answer


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
    sections = [
        page.answer(answer.sentences()),
        page.warnings(_warnings(answer)),
        _figures(answer),
        _parameters(answer),
        _held_out(answer),
        _allocation(answer),
        _multiverse(answer),
        _curves(answer),
        _outlook(answer),
        _runs(answer),
        _machines(answer),
    ]
    return page.page(answer.study, answer.question, sections, answer.outputs)


def _warnings(answer: Answer) -> list[str]:
    warnings = list(answer.law.warnings)
    if answer.allocation is not None:
        warnings += answer.allocation.warnings
    if answer.outlook is not None and answer.outlook.arms is not None:
        warnings += [f"arms: {warning}" for warning in answer.outlook.arms.warnings]
    if answer.curve_law is not None:
        warnings += [f"curve law: {warning}" for warning in answer.curve_law.warnings]
    return warnings


def _figures(answer: Answer) -> str:
    from scalinglab.analysis.reporting import figures

    return page.figures(
        [
            (
                "Loss against compute: each line is the law at one size, black is the best it gives at "
                "each C.",
                figures.loss_against_compute(answer),
            ),
            (
                "Loss against parameters and against tokens: points are runs, lines the law.",
                figures.loss_against_size_and_tokens(answer),
            ),
            (
                "Residuals: what the law misses at each run; colours are sizes, dark is small.",
                figures.residuals(answer),
            ),
            (
                "Validation curves under several schedules: dots measured, lines the curve law.",
                figures.curves(answer),
            ),
            (
                "Two arms: loss of B over that of A along the ladder; dots are pairs of runs that differ"
                " in the arm alone (of other D/N they lie off the line). Below zero B is better.",
                figures.arms(answer),
            ),
        ]
    )


def _parameters(answer: Answer) -> str:
    text = page.escape(answer.law.report())
    return (
        f"<h2>The law: {page.escape(answer.law.law.name)}</h2>"
        f"{page.table(answer.law.summary.reset_index())}<pre>{text}</pre>"
    )


def _held_out(answer: Answer) -> str:
    if answer.held_out.empty:
        return ""
    error = [f"{e:+.2%}" for e in answer.held_out["error"]]
    table = answer.held_out.drop(columns=["C", "impossible"]).assign(error=error)
    return f"<h2>Held out: predicted before, measured after</h2>{page.table(table)}"


def _allocation(answer: Answer) -> str:
    if answer.allocation is None:
        return ""
    return (
        f"<h2>How to split a budget ({page.escape(answer.counted)})</h2>"
        f"{page.table(with_intervals(answer.allocation.table))}{_approaches(answer)}"
    )


def _approaches(answer: Answer) -> str:
    found = answer.approaches
    if found is None:
        return ""
    refused = "".join(f"<p>{page.escape(why)}</p>" for why in refusals_in_words(found.refused))
    return (
        "<p>Three approaches side by side: N* grows as C^a, D* as C^b.</p>"
        f"{page.table(with_intervals(found.exponents))}{page.table(with_intervals(found.table))}"
        + (f"<details><summary>Refused</summary>{refused}</details>" if refused else "")
    )


def _multiverse(answer: Answer) -> str:
    from scalinglab.analysis.reporting import figures

    found = answer.multiverse
    if found is None:
        return ""
    caption = "Every way to fit with its answer, and what part of their spread each choice makes."
    figure = figures.multiverse(found)
    drawn = "" if figure is None else page.captioned(figure, caption)
    return (
        f"<h2>What the answer hangs on</h2><p>{page.escape(found.sentence())}</p>"
        f"{page.table(with_intervals(found.shares))}{drawn}"
    )


def _curves(answer: Answer) -> str:
    if answer.curve_law is None:
        return ""
    error = [f"{e:+.2%}" for e in answer.curve_check["error"]]
    return (
        f"<h2>The curve law: {page.escape(answer.curve_law.law.name)}</h2>"
        f"{page.table(answer.curve_check.assign(error=error))}"
        f"<pre>{page.escape(answer.curve_law.report())}</pre>"
    )


def _outlook(answer: Answer) -> str:
    from scalinglab.analysis.reporting.report_outlook import heading, tables

    if answer.outlook is None:
        return ""
    return "".join(
        heading(title, text) + page.table(table) for title, text, table in tables(answer.outlook)
    )


def _runs(answer: Answer) -> str:
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
    if answer.runs["flops_convention"].notna().all():  # an imported file may have a C of its own
        runs = runs.rename(columns={"C": "C = 6 N D"})
    return f"<h2>The runs</h2>{page.table(runs)}"


def _machines(answer: Answer) -> str:
    if answer.machines.empty:
        return ""
    return f"<h2>Machines and versions</h2>{page.table(answer.machines)}"
