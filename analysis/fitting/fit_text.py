"""The report of a fit as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from scalinglab.analysis.fitting.diagnosis import TIED, TIED_FACTOR
from scalinglab.analysis.fitting.far_residuals import size_in_words
from scalinglab.analysis.fitting.fitted_law import FittedLaw
from scalinglab.analysis.fitting.threshold import residual_spread, threshold_in_words
from scalinglab.analysis.intervals.left_out import LeftOutRuns
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.tables.interval_text import four_digits, value_text
from scalinglab.analysis.tables.powers import short

_CORRELATED = 0.9
_IN_FULL = 1e5  # below which the number of the condition is written in full
LAW = "law"  # the section whose title is the law's formula
SECTIONS = (LAW, "Fit", "Parameters", "Correlations", "Held out", "Warnings")


def render(result: FittedLaw, only: Sequence[str] = ()) -> str:
    """The report of a fit, one section after another: all, or those of ``SECTIONS`` in `only`."""
    formula = f"{result.law.name}: {result.law.formula}"
    lines_of: dict[str, list[str]] = {
        LAW: [f"({result.law.source})"],
        "Fit": _statistics(result),
        "Parameters": _parameters(result),
        "Correlations": _correlations(result),
        "Held out": _held_out(result),
        "Warnings": [f"! {sentence}" for sentence in result.warnings],
    }
    blocks = [
        "\n".join([f"[[{formula if title == LAW else title}]]", *(f"    {x}" for x in lines)])
        for title in SECTIONS
        if (lines := lines_of[title]) and (not only or title in only)
    ]
    return "\n".join(blocks)


def _range(name: str, low: float, high: float) -> str:
    form: Callable[[float], str] = short if name in ("N", "D") else "{:.3g}".format
    return f"{name} {form(low)} to {form(high)}"


def _statistics(result: FittedLaw) -> list[str]:
    settings, diagnosis = result.settings, result.diagnosis
    rows = [
        ("points", f"{result.points}" + _of_rows(result) + _grouped(result)),
        *(
            [("censored", f"{count} more points, of which a bound is known and fitted")]
            if (count := settings.get("censored", 0))
            else []
        ),
        ("columns", ", ".join(_renamed(result))),
        ("range", ", ".join(_range(name, *ends) for name, ends in result.ranges.items())),
        ("objective", f"{settings['objective']} = {result.objective:.4g}{_delta(result)}"),
        ("residuals", residuals_in_words(result, _of_response(result))),
        ("search", _search(result)),
        (
            "converged",
            f"gradient {diagnosis.gradient:.1e}, condition {_condition(diagnosis.condition)}",
        ),
        ("intervals", _intervals(result)),
    ]
    if priors := settings.get("priors"):
        rows.append(("priors", _priors(priors, result)))
    if len(result.left_out):
        rows.append(("schedules", _unseen(result.left_out)))
    rows += [
        ("left out", f"{count} row{'s' * (count != 1)}: {reason}")
        for reason, count in result.excluded.items()
        if count
    ]
    if result.noise is not None:
        rows.insert(
            rows.index(next(r for r in rows if r[0] == "search")),
            ("noise", _size(result, result.noise) + ", known from repeats or rounding"),
        )
    return [f"{name:<10} {text}" for name, text in rows]


def _condition(value: float) -> str:
    return f"{value:,.0f}" if value < _IN_FULL else f"{value:.1e}"


def _priors(priors: dict[str, list[float]], result: FittedLaw) -> str:
    """The priors, and how to fit without them."""
    listed = ", ".join(
        f"{name} {value:.4g} +- {width:.2g}" for name, (value, width) in priors.items()
    )
    is_of_law = any(p.prior and p.name in priors for p in result.law.parameters)
    return listed + (" (the law's own; priors=none leaves them out)" if is_of_law else "")


def in_a_line(result: FittedLaw) -> str:
    """Which law was fitted to how many runs, what was left out, and what intervals mean."""
    out = ", ".join(f"{count} {reason}" for reason, count in result.excluded.items() if count)
    rows = f"{result.points} points" if result.law.curve else f"{result.points} runs"
    intervals = (
        f"in parentheses {result.settings['level']:.0%} intervals"
        if len(result.draws) and not result.settings["withheld"]
        else "no intervals"
    )
    return f"{result.law.name} fitted to {rows}{f' (left out: {out})' if out else ''}; {intervals}"


def _of_rows(result: FittedLaw) -> str:
    left_out = sum(result.excluded.values())
    return f" of {result.points + left_out} rows" if left_out else ""


def residuals_in_words(result: FittedLaw, of: str = "") -> str:
    """The size of a fit's residuals; of curves no point is told apart."""
    free = len(result.residuals) if result.law.curve else len(result.free)
    return size_in_words(result.residuals, free, result.scale, of)


def _size(result: FittedLaw, size: float) -> str:
    return result.scale.say(size) + _of_response(result)


def _of_response(result: FittedLaw) -> str:
    share = " of the " if result.scale.name == "relative" else " in the "
    return share + result.law.response


def _grouped(result: FittedLaw) -> str:
    return f" in {result.clusters} independent groups" if result.clusters < result.points else ""


def _renamed(result: FittedLaw) -> list[str]:
    counted = {name: f" ({convention})" for name, convention in result.settings["counted"].items()}
    return [
        (name if name == source else f"{name} = {source}") + counted.get(name, "")
        for name, source in result.columns.items()
    ]


def _delta(result: FittedLaw) -> str:
    settings = result.settings
    if settings["objective"] == "least_squares":
        return ""
    spread = residual_spread(result.residuals)
    return f" ({threshold_in_words(settings['delta'], spread, settings['delta_rule'])})"


def _search(result: FittedLaw) -> str:
    diagnosis = result.diagnosis
    some = f" on {diagnosis.searched:,} rows" if diagnosis.searched < result.points else ""
    count = diagnosis.full_searches
    best = round(diagnosis.agree * count)
    if best == count:
        return (
            f"{diagnosis.starts} starts{some}; all {count} full searches reached the same minimum"
        )
    other_minima = [f"{value:.4g} ({share:.0%})" for value, share in diagnosis.basins[1:4]]
    return (
        f"{diagnosis.starts} starts{some}; {best} of {count} full searches reached the best "
        f"minimum; others: {', '.join(other_minima)}"
    )


def _intervals(result: FittedLaw) -> str:
    if not len(result.draws):
        return "none (resamples=0)"
    settings = result.settings
    if settings["withheld"]:
        return "none: see the warnings"
    grouped = result.clusters < result.points
    method = {
        "weights": "by weights of " + ("groups" if grouped else "points"),
        "rows": "of rows",
        "clusters": "of groups",
        "residual": "of residuals",
        "given": "given with the points",
    }[settings["resample"]]
    wider = (
        f"; of predictions {calibration_in_words(result.calibration_factor)}"
        if result.calibration_factor > 1
        else ""
    )
    return (
        f"{settings['level']:.0%}, {len(result.draws)} resamples {method}, seed"
        f" {settings['seed']}{wider}"
    )


def _unseen(left_out: LeftOutRuns) -> str:
    missed = float(np.sqrt(np.mean(left_out.missed**2)))
    return (
        f"{len(left_out)} refits without one curve each missed that curve's last loss by"
        f" {missed:.2%} (root mean square); intervals for other schedules allow for it"
    )


def _parameters(result: FittedLaw) -> list[str]:
    lines = []
    for name, row in result.summary.iterrows():
        has_interval = bool(np.isfinite(row["lower"]))
        is_fixed = name in result.settings["fixed"]  # by a person, who gave its digits
        value = f"{row['value']:.6g}" if is_fixed else four_digits(row["value"])
        if has_interval and not is_fixed:
            ends = {"value": row["value"], "value_lower": row["lower"], "value_upper": row["upper"]}
            value = value_text(ends, "value")
        number, _, interval = value.partition(" ")
        line = f"{name:<8} {number:>10}  {interval}".rstrip()
        if is_fixed:
            line += "  (fixed)"
        elif name in result.settings["tied"]:
            line += f"  (= {result.settings['tied'][name]})"
        if name in result.diagnosis.at_bound:
            line += "  at its bound"
        if not row["identified"]:
            line += "  NOT IDENTIFIED"
        lines.append(line)
    return lines


def _correlations(result: FittedLaw) -> list[str]:
    matrix = result.diagnosis.correlations
    pairs = [(matrix[a][b], a, b) for a, b in combinations(matrix, 2)]
    strong = sorted((p for p in pairs if abs(p[0]) >= _CORRELATED), key=lambda p: -abs(p[0]))
    return [
        f"corr({a}, {b}) = {value:+.3f}{_loose_pair(result, value, a, b)}" for value, a, b in strong
    ]


def _loose_pair(result: FittedLaw, value: float, a: str, b: str) -> str:
    """Why a wide coefficient counts as identified: its partner in a correlation is."""
    table = result.summary
    # An average of laws has no parameters of its own.
    if abs(value) < TIED or not {a, b} <= set(table.index):
        return ""
    if not table.loc[[a, b], "identified"].all():
        return ""
    scales = {parameter.name: parameter.scale for parameter in result.law.parameters}
    for name, partner in ((a, b), (b, a)):
        lower, upper = table.loc[name, ["lower", "upper"]].to_numpy(float)
        if scales[name] == "log" and upper > TIED_FACTOR * lower > 0:
            return (
                f": {name} spans a factor of {upper / lower:.3g} as it moves with {partner}, which"
                " is identified; their term is known, so use them together"
            )
    return ""


def _held_out(result: FittedLaw) -> list[str]:
    by_size = result.held_out
    if by_size is None:
        return []
    return [
        account["sentence"] for account in (by_size, by_size.get("budget")) if account is not None
    ]
