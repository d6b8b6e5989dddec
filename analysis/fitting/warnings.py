"""Warnings about a fit, in plain words."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.fitting.fitted_law import FittedLaw
from scalinglab.analysis.fitting.peaks import peaks_in_words
from scalinglab.analysis.intervals.left_out import doubt_in_words, few_curves_in_words
from scalinglab.analysis.tables.exclusion import unmet_in_words

_FLOOR = ". Extrapolations depend on the floor: add runs closer to it, or fix it"
_SURPRISING = 3.5  # standard errors
# Degrees of freedom; still fewer: `scalinglab.analysis.intervals.freedom.reason_to_withhold`.
_FEW_DEGREES = 2.0
_ROUNDING = 1e-9
_NEGLIGIBLE = 0.001  # of a loss, or of an accuracy: a smaller error is no reason for a warning


def fit_warnings(result: FittedLaw) -> tuple[str, ...]:
    """Warnings to read before the numbers of a fit are used."""
    checks = (
        _unidentified,
        _lonely_best,
        _not_converged,
        _withheld,
        _few_degrees,
        _outside_interval,
        _one_sided_top,
        _of_curves,
        _unmet,
    )
    return tuple(sentence for check in checks for sentence in check(result))


def _unmet(result: FittedLaw) -> list[str]:
    return unmet_in_words(result.excluded, result.points + sum(result.excluded.values()))


def _unidentified(result: FittedLaw) -> list[str]:
    """One sentence on all parameters that the points leave open, those of one reason together."""
    groups: dict[str, list[str]] = {}
    for name, reason in result.diagnosis.unidentified.items():
        groups.setdefault(_at_bound(result, name) or reason, []).append(name)
    if not groups:
        return []
    floors = set(result.law.parameters_with_role("floor"))
    has_floor = bool(floors & set(result.diagnosis.unidentified))
    depends = _FLOOR if has_floor else ""
    if len(result.diagnosis.unidentified) == 1:
        ((reason, (name,)),) = groups.items()
        return [f"{_named(result, name)} is not identified: {reason}; ignore its value{depends}"]
    listed = [f"{', '.join(names)} ({_of_each(reason, names)})" for reason, names in groups.items()]
    return [f"not identified, ignore their values: {'; '.join(listed)}{depends}"]


def _of_each(reason: str, names: list[str]) -> str:
    """A reason of several parameters at once: ``each: its interval reaches its bound``."""
    return reason if len(names) == 1 else f"each: {reason}"


def _named(result: FittedLaw, name: str) -> str:
    """A parameter, with what it is unless it is a floor or an exponent, whose names say it."""
    parameter = result.law.parameters[result.law.names.index(name)]
    return name if parameter.role or not parameter.meaning else f"{name} ({parameter.meaning})"


def _of_curves(result: FittedLaw) -> list[str]:
    if not result.law.curve or not result.runs:
        return []
    sentences = (
        peaks_in_words(result.law, result.settings["peaks"]),
        few_curves_in_words(len(result.runs)),
        doubt_in_words(result.left_out),
    )
    return [sentence for sentence in sentences if sentence]


def _at_bound(result: FittedLaw, name: str) -> str:
    """Why a parameter ended on its bound; empty if it did not."""
    if name not in result.diagnosis.at_bound:
        return ""
    parameter, value = result.law.parameters[result.law.names.index(name)], result.params[name]
    if name in result.settings["bounds"]:
        return f"it ended on the bound {value:.3g} that was given"
    if parameter.role != "exponent":
        return f"the data cannot tell it from {value:.3g}"
    shape = "no power law" if np.isclose(value, parameter.low) else "a step, not a power law"
    return f"it ended on its bound {value:.3g}: the data show {shape}"


def _lonely_best(result: FittedLaw) -> list[str]:
    agree, searches = result.diagnosis.agree, result.diagnosis.full_searches
    if searches < 4 or agree >= 2.5 / searches:
        return []
    return [
        f"only {round(agree * searches)} of {searches} full searches reached the best minimum: "
        "there may be a better one; fit with more starts"
    ]


def _not_converged(result: FittedLaw) -> list[str]:
    if result.diagnosis.gradient < 1e-3 or not np.isfinite(result.diagnosis.gradient):
        return []
    return [
        f"the fit may not have converged (scaled gradient {result.diagnosis.gradient:.1e}): fit "
        "with more starts"
    ]


def _withheld(result: FittedLaw) -> list[str]:
    return [result.settings["withheld"]] if result.settings["withheld"] else []


def _few_degrees(result: FittedLaw) -> list[str]:
    degrees = result.diagnosis.degrees
    if result.settings["withheld"] or degrees >= _FEW_DEGREES:
        return []
    kind = "groups of points" if result.clusters < result.points else "points"
    return [
        f"a parameter rests on few of the {result.clusters} independent {kind}: its standard error"
        f" is as uncertain as that of {degrees + 1:.0f} measurements ({degrees:.1f} degrees of"
        " freedom), so its interval is unreliable; add independent runs"
    ]


def _outside_interval(result: FittedLaw) -> list[str]:
    """Best values that their own intervals exclude, as where two sizes leave a floor open."""
    table = result.summary.loc[list(result.free)]
    room = _ROUNDING * table["value"].abs()
    outside = (table["value"] < table["lower"] - room) | (table["value"] > table["upper"] + room)
    names = ", ".join(table.index[outside])
    if not names:
        return []
    return [
        f"the interval of {names} does not contain the best value: the points leave a parameter"
        " open, and most resamples settle elsewhere. Do not use these intervals; add sizes or"
        " independent runs"
    ]


def _one_sided_top(result: FittedLaw) -> list[str]:
    """All errors at the largest scale on one side, and larger than noise would make them."""
    by_size = result.held_out
    if by_size is None:
        return []
    return [*_one_sided(result, by_size), *_one_sided(result, by_size.get("budget"))]


def _one_sided(result: FittedLaw, account: dict | None) -> list[str]:
    if account is None:
        return []
    if account.get("impossible"):  # kept fits of earlier versions do not say
        return [f"{account['sentence']}: do not extrapolate this fit"]
    if account["one_sided"] < 1 or account["points"] < 3:
        return []
    if abs(account["error"]) < max(_SURPRISING * account["expected"], _NEGLIGIBLE):
        return []
    side, size = "high" if account["error"] > 0 else "low", abs(account["error"])
    return [
        f"a fit without the largest {account['column']} predicts all {account['points']} of its "
        f"points too {side}, by {result.scale.say(size, digits=1)}: do not extrapolate this fit"
    ]
