"""What a fit and a study's answer say, as plain dictionaries: for programs that read on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.allocation import Allocation
    from analysis.answer import Answer
    from analysis.result import Result


def facts_of_fit(result: Result) -> dict[str, Any]:
    """The law, its parameters with intervals, how it was fitted, and what to doubt.

    Returns
    -------
    dict
        ``parameters`` has one entry a parameter: ``value, lower, upper, standard_error,
        identified, unit, meaning``. What is not known is NaN or None.
    """
    return {
        "law": result.law.name,
        "formula": result.law.formula,
        "parameters": result.summary.to_dict("index"),
        "objective": result.objective,
        "points": result.points,
        "clusters": result.clusters,
        "noise": result.noise,
        "settings": result.settings,
        "columns": result.columns,
        "ranges": result.ranges,
        "excluded": result.excluded,
        "held_out": result.held_out,
        "unidentified": result.diagnosis.unidentified,
        "at_bound": result.diagnosis.at_bound,
        "starts_that_agree": result.diagnosis.agree,
        "warnings": result.warnings,
    }


def facts_of_allocation(found: Allocation) -> dict[str, Any]:
    """One entry a budget, and what to doubt."""
    return {"budgets": found.table, "warnings": found.warnings}


def facts_of_answer(answer: Answer) -> dict[str, Any]:
    """Everything `Answer.text` says, in numbers."""
    allocation, curve_law = answer.allocation, answer.curve_law
    return {
        "study": answer.study,
        "question": answer.question,
        "sentences": answer.sentences(),
        "fit": facts_of_fit(answer.law),
        "held_out": answer.held_out,
        "allocation": None if allocation is None else facts_of_allocation(allocation),
        "curve_fit": None if curve_law is None else facts_of_fit(curve_law),
        "curves_held_out": answer.curve_check,
        "unfinished": answer.unfinished,
    }
