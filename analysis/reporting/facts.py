"""Fits, decisions and answers as plain dictionaries, for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison
    from scalinglab.analysis.decisions.allocation import Allocation
    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.decisions.next_runs import NextRuns
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.laws_compared import LawsCompared
    from scalinglab.analysis.judgement.multiverse import Multiverse
    from scalinglab.analysis.reporting.answer import Answer
    from scalinglab.analysis.reporting.reported_runs import ReportedRuns, RunsWithoutLaw
    from scalinglab.analysis.reporting.verdict import Verdict


# Columns of a multiverse's shares -> their keys, which programs read.
_SHARES = {"main_effect": "own", "total_effect": "whole"}


def facts_of_fit(result: Result) -> dict[str, Any]:
    """The law, its parameters with intervals, how it was fitted, and its warnings.

    Returns
    -------
    dict
        ``parameters`` has one entry for each parameter: ``value, lower, upper, standard_error,
        identified, unit, meaning``. Unknown values are NaN or None.
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
        **(
            {}
            if result.overview.index.name != "law"
            else {"laws": result.overview.to_dict("index")}
        ),
    }


def facts_of_allocation(allocation: Allocation) -> dict[str, Any]:
    """One entry for each budget, how N* and D* grow, and warnings."""
    return {
        "cost": allocation.cost,
        "budgets": allocation.table,
        "exponents": allocation.exponents.to_dict("index"),
        "inflation": allocation.calibration_factor,
        "warnings": allocation.warnings,
    }


def facts_of_approaches(approaches: Approaches) -> dict[str, Any]:
    """One entry for each approach and budget, the exponents, and refusals."""
    return {
        "cost": approaches.cost,
        "budgets": approaches.table,
        "exponents": approaches.exponents,
        "refused": approaches.refused,
        "isoflop_minima": approaches.minima.table,
        "warnings": approaches.warnings,
    }


def facts_of_next(next_runs: NextRuns) -> dict[str, Any]:
    """The chosen runs, and the target's precision now and as expected after them."""
    table = next_runs.table
    return {
        "runs": table.reset_index(drop=table.index.name is None),
        "now": next_runs.now,
        "then": next_runs.then,
        "enough": next_runs.enough,
        "tolerance": next_runs.tolerance,
        "inflation": next_runs.calibration_factor,
    }


def facts_of_multiverse(multiverse: Multiverse) -> dict[str, Any]:
    """Every analysis variant with its answer, and which choice matters most."""
    low, high = multiverse.range
    return {
        "of": multiverse.of,
        "smallest": low,
        "largest": high,
        "convention": multiverse.convention,
        "far_from_law": multiverse.far_runs,
        "shares": multiverse.shares.rename(columns=_SHARES),
        "ways": multiverse.table,
    }


def facts_of_laws(compared: LawsCompared) -> dict[str, Any]:
    """One entry for each law, the number of predictions, and the rivals of the best law."""
    return {
        "laws": compared.table.to_dict("index"),
        "predictions": compared.points,
        "origins": compared.origins,
        "rivals": compared.rivals,
    }


def facts_of_arms(comparison: ArmComparison) -> dict[str, Any]:
    """The comparison of two arms: B is the second, and a ratio is its loss over that of A.

    Returns
    -------
    dict
        ``pairs``: the losses of each pair, and ``paired`` their mean ratio with its interval;
        ``multipliers``: one entry per compute and floor with its interval, and ``verdicts`` by
        compute; ``sharing``: the tests of what the arms share; ``scales``: ratios along the trend of
        N and D; ``splits``: N* and D* of each arm by compute. Unknown values are NaN or None.
    """
    return {
        "arms": comparison.arms,
        "fit": None if comparison.result is None else facts_of_fit(comparison.result),
        "pairs": comparison.pairs.table,
        "paired": {k: getattr(comparison.pairs, k) for k in ("ratio", "lower", "upper", "by")},
        "sharing": comparison.sharing,
        "scales": comparison.scales,
        "multipliers": comparison.multipliers,
        "verdicts": comparison.verdicts,
        "crossover": comparison.crossover,
        "splits": comparison.splits,
        "ended": comparison.ended,
        "censored": comparison.censored,
        "differences": comparison.differences,
        "warnings": comparison.warnings,
    }


def _arms(study: ReportedRuns) -> dict[str, Any] | None:
    return None if study.compared is None else facts_of_arms(study.compared)


def _said(study: ReportedRuns) -> dict[str, Any]:
    """What every answer to a study's question says in words."""
    return {
        "study": study.study,
        "question": study.question,
        "headline": study.headline(),
        "cautions": study.cautions(),
        "sentences": study.sentences(),
    }


def facts_without_law(study: RunsWithoutLaw) -> dict[str, Any]:
    """Everything `RunsWithoutLaw.text` says, in numbers; ``fit`` is None, ``why`` the reason."""
    return {
        **_said(study),
        "fit": None,
        "why": study.why,
        "runs": study.runs.drop(columns="recipe", errors="ignore"),
        "arms": _arms(study),
        "unfinished": study.unfinished,
    }


def facts_of_answer(answer: Answer) -> dict[str, Any]:
    """Everything `Answer.text` says, in numbers; ``arms`` the comparison, None without one."""
    allocation, curve_law = answer.allocation, answer.curve_law
    approaches, multiverse = answer.approaches, answer.multiverse
    return {
        **_said(answer),
        "fit": facts_of_fit(answer.law),
        "arms": _arms(answer),
        "held_out": answer.held_out,
        "laws": None if answer.laws is None else facts_of_laws(answer.laws),
        "allocation": None if allocation is None else facts_of_allocation(allocation),
        "approaches": None if approaches is None else facts_of_approaches(approaches),
        "multiverse": None if multiverse is None else facts_of_multiverse(multiverse),
        "curve_fit": None if curve_law is None else facts_of_fit(curve_law),
        "curves_held_out": answer.curve_check,
        "unanswered": answer.unanswered,
        "unfinished": answer.unfinished,
    }


def facts_of_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values, for programs."""
    finding = verdict.finding
    return {
        **_said(verdict),
        "least_effect": None if verdict.design is None else verdict.design.least,
        "tables": {title: table.to_dict("records") for title, table in finding.tables.items()},
        "warnings": finding.warnings,
    }
