"""An answer as one self-contained HTML file: words, tables, figures; no script, no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab.analysis.decisions.approaches import refusals_in_words
from scalinglab.analysis.plot.labels import SHARES
from scalinglab.analysis.reporting.answer import with_intervals
from scalinglab.analysis.reporting.page import Section, page
from scalinglab.analysis.reporting.report_outlook import outlook_sections
from scalinglab.analysis.tables.runs import FLOPS
from scalinglab.scaling.model.stated import BY_SIZE
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
        *_figures(answer),
        *_parameters(answer),
        *_held_out(answer),
        *_laws(answer),
        *_allocation(answer),
        *_approaches(answer),
        *_multiverse(answer),
        *_curves(answer),
        *_outlook(answer),
        *_runs(answer),
        *_machines(answer),
    ]
    return page(
        answer.study,
        answer.question,
        answer.sentences(),
        _warnings(answer),
        sections,
        answer.outputs,
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


def _figures(answer: Answer) -> list[Section]:
    # matplotlib takes half a second to import: only drawing waits for it.
    from scalinglab.analysis.reporting import figures

    drawn = [
        (
            "Validation loss against training compute. Coloured: the law at one size; black: its"
            " lowest loss at each C.",
            figures.loss_against_compute(answer),
        ),
        (
            "Validation loss against size and against tokens. Points: runs; lines: the law.",
            figures.loss_against_size_and_tokens(answer),
        ),
        (
            "Residual per run; colour = model size (dark is small).",
            figures.residuals(answer),
        ),
        (
            "Validation curves under several schedules. Dots: measured; lines: the curve law.",
            figures.curves(answer),
        ),
        (
            "Loss of B relative to A along the ladder. Dots: paired runs (off the line where their"
            " D/N differs). Below zero B is better.",
            figures.arms(answer),
        ),
    ]
    return [Section("Figures", figures=[(text, f) for text, f in drawn if f is not None])]


def _parameters(answer: Answer) -> list[Section]:
    law = answer.law
    title = f"The law: {law.law.name}"
    return [Section(title, tables=[law.overview.reset_index()], listing=law.report())]


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


def _allocation(answer: Answer) -> list[Section]:
    if answer.allocation is None:
        return []
    title = f"How to split a budget ({answer.counted})"
    return [Section(title, tables=[with_intervals(answer.allocation.table)])]


def _approaches(answer: Answer) -> list[Section]:
    found = answer.approaches
    if answer.allocation is None or found is None:
        return []
    return [
        Section(
            text="Three approaches side by side: N* grows as C^a, D* as C^b.",
            tables=[with_intervals(found.exponents), with_intervals(found.table)],
            refused=refusals_in_words(found.refused),
        )
    ]


def _multiverse(answer: Answer) -> list[Section]:
    # matplotlib takes half a second to import: only drawing waits for it.
    from scalinglab.analysis.reporting import figures

    found = answer.multiverse
    if found is None:
        return []
    caption = "The answer of every analysis variant, and the share of the variance of each choice."
    figure = figures.multiverse(found)
    return [
        Section(
            "How the answer varies with the analysis choices",
            found.sentence(),
            tables=[with_intervals(found.shares).rename(columns=SHARES)],
            figures=[] if figure is None else [(caption, figure)],
        )
    ]


def _curves(answer: Answer) -> list[Section]:
    law = answer.curve_law
    if law is None:
        return []
    error = [f"{e:+.2%}" for e in answer.curve_check["error"]]
    table = answer.curve_check.assign(error=error)
    return [Section(f"The curve law: {law.law.name}", tables=[table], listing=law.report())]


def _outlook(answer: Answer) -> list[Section]:
    return [] if answer.outlook is None else outlook_sections(answer.outlook)


def _runs(answer: Answer) -> list[Section]:
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
    return [Section("The runs", tables=[runs])]


def _machines(answer: Answer) -> list[Section]:
    if answer.machines.empty:
        return []
    return [Section("Machines and versions", tables=[answer.machines])]
