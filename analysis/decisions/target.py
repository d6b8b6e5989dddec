"""A target in words, "loss at C=1e22 within 0.5%", and what a fit knows about it.

>>> read_target("loss at C=1e22 within 0.5%")
Target(of='loss', at={'C': 1e+22}, within=0.005, of_compute=False)
>>> read_target("N at C=1e21").at
{'C': 1e+21}
>>> read_target("loss at C=1e22 within 5% of compute").of_compute
True
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scalinglab.analysis.decisions.allocation import need_surface
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.decisions.optimum import (
    best_split,
    least_budget,
    loss_at,
    tokens_for_budget,
)
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.rolling import t_draws
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_WORDS = re.compile(
    r"(\w+)(?:\s+at\s+(.+?))?(?:\s+within\s+([0-9.eE+-]+)\s*(%?)(\s*of\s+compute)?)?\s*"
)
_PAIR = re.compile(r"(\w+)\s*=\s*([0-9.eE+-]+)")
_PAIRS = re.compile(rf"({_PAIR.pattern}[,\s]*)+")
_FORM = (
    "say it as 'loss at C=1e22 within 0.5%', 'loss at C=1e22 within 5% of compute',"
    " 'loss at N=1e9 D=2e10', 'N at C=1e22' or 'alpha'"
)
_FARTHEST, _STEPS = 1e3, 2000  # times the best N, that are looked at


@dataclass(frozen=True)
class Target:
    """A quantity to be known, and its tolerance.

    Attributes
    ----------
    of : str
        "loss", "N" or "D" (of the best split), or a parameter of the law.
    at : dict of str to float
        {"C"}: at the best split of a budget; {"N", "D"}: at a point; empty for a parameter.
    within : float or None
        Half of the interval's width over the value that is good enough; see `tolerance`.
    of_compute : bool
        Whether `within` is a share of the compute instead.
    """

    of: str
    at: Mapping[str, float]
    within: float | None = None
    of_compute: bool = False

    @property
    def in_words(self) -> str:
        """The quantity without its tolerance: "loss at C=1e+22"."""
        at = " ".join(f"{name}={value:.4g}" for name, value in self.at.items())
        return f"{self.of} at {at}" if at else self.of

    @property
    def compute(self) -> list[float]:
        """The FLOPs, 6 N D, of its place; empty for a parameter."""
        if "C" in self.at:
            return [self.at["C"]]
        return [6 * self.at["N"] * self.at["D"]] if self.at else []

    def draws(self, result: Result, cost: Cost = SIX_ND) -> Array:
        """Its value under the best parameters and under each resample's, shape (1 + draws,).

        Raises
        ------
        UserError
            If the law has no such parameter, or is none of N and D.
        """
        params = result.params_and_draws()
        if not self.at:
            if self.of not in result.params:
                raise UserError(
                    f"{result.law.name} has no parameter {self.of!r}, only"
                    f" {', '.join(result.params)}"
                )
            return params[:, result.law.names.index(self.of)]
        need_surface(result)
        if "C" in self.at:
            N, D = best_split(result.law, params, self.at["C"], cost)
        else:
            N, D = (np.full(len(params), self.at[name]) for name in ("N", "D"))
        if self.of in ("N", "D"):
            return {"N": N, "D": D}[self.of]
        return loss_at(result.law, params, N[:, None], D[:, None])[:, 0]

    def estimate(
        self, result: Result, level: float = 0.95, cost: Cost = SIX_ND
    ) -> dict[str, float]:
        """``value, lower, upper`` and ``half_width``, relative to the value.

        As in `Result.predict`, the interval of a loss beyond the fitted range includes the law's
        departure, and it is widened by the record of forecasts.
        """
        drawn = self.draws(result, cost)
        could_be = np.sign(drawn) * np.exp(self.log_draws(result, cost))
        row = result.values_with_intervals({self.of: could_be}, level)
        low, high = (row.get(f"{self.of}_{end}", np.nan) for end in ("lower", "upper"))
        half = (high - low) / 2 / abs(float(drawn[0]))
        return {"value": float(drawn[0]), "lower": low, "upper": high, "half_width": half}

    def tolerance(self, result: Result, cost: Cost = SIX_ND) -> float | None:
        """The largest allowed half-width of the interval, relative to the value; None if any is.

        If the tolerance is a share of the compute: for a loss, half of its change between budgets
        that are larger and smaller by that share; for a best N or D, the relative error at which
        the same loss needs a budget larger by that share.

        Raises
        ------
        UserError
            If no budget gets there under the best fit.
        """
        if self.within is None or not self.of_compute:
            return self.within
        best = np.array([list(result.params.values())])
        more = 1 + self.within
        tolerance = (
            _loss_of_compute(result, best, self.draws(result, cost)[:1], more, cost)
            if self.of == "loss"
            else _split_of_compute(result, best, self.of, self.at["C"], more, cost)
        )
        if not tolerance > 0:
            raise UserError(
                f"{self.in_words}: under the fitted law no budget is worth {self.within:.3g} of the"
                " compute more or less there; say 'within 0.5%' of the value itself"
            )
        return tolerance

    def calibration_factor(self, result: Result) -> float:
        """The factor by which `estimate` widens its interval: for a loss the fit's, else 1."""
        return result.calibration_factor if self.of == "loss" else 1.0

    def log_draws(self, result: Result, cost: Cost = SIX_ND) -> Array:
        """Logarithm of `draws`, (1 + resamples,), with the law's departure beyond the range."""
        drawn = self.draws(result, cost)
        if self.of != "loss":
            return RELATIVE.of(np.abs(drawn))
        log = RELATIVE.of(RELATIVE.possible(drawn))
        return log + extrapolation_deviations(result, *self.place(result, cost), len(log))[:, 0]

    def place(self, result: Result, cost: Cost = SIX_ND) -> tuple[Array, Array]:
        """N and D, shape (1,), of a target that is a loss; empty for others."""
        if self.of != "loss":
            return np.empty(0), np.empty(0)
        if "C" in self.at:
            return best_split(
                result.law, np.array([list(result.params.values())]), self.at["C"], cost
            )
        return np.array([self.at["N"]]), np.array([self.at["D"]])


def _loss_of_compute(result: Result, best: Array, loss: Array, more: float, cost: Cost) -> float:
    budget = least_budget(result.law, best, loss, cost)[0]
    ends = []
    for enough in (budget / more, budget * more):
        N, D = best_split(result.law, best, enough, cost)
        ends.append(float(loss_at(result.law, best, N[:, None], D[:, None])[0, 0]))
    return (ends[0] - ends[1]) / 2 / float(loss[0])


def _split_of_compute(
    result: Result, best: Array, of: str, budget: float, more: float, cost: Cost
) -> float:
    """How far off N or D may be, relative: the smaller of both sides."""
    N, D = best_split(result.law, best, budget, cost)
    target_loss = loss_at(result.law, best, N[:, None], D[:, None])[0, 0]
    times = np.geomspace(1, _FARTHEST, _STEPS)
    off = []
    for sizes in (N[0] * times, N[0] / times):
        tokens = tokens_for_budget(cost, sizes, np.full(_STEPS, budget * more))
        with np.errstate(all="ignore"):
            lost = loss_at(result.law, best, sizes[None], tokens[None])[0] > target_loss
        last = int(lost.argmax()) if lost.any() else _STEPS
        if last == 0:
            return np.nan
        # For D: the tokens that the budget allows at a size that is off by as much.
        axis = sizes if of == "N" else tokens_for_budget(cost, sizes, np.full(_STEPS, budget))
        off.append(abs(float(axis[last - 1] / axis[0]) - 1))
    return min(off)


def extrapolation_deviations(result: Result, N: Array, D: Array, count: int) -> Array:
    """Random departures of the true law from its formula at some points, in log loss.

    Shape (count, points): zero inside the fitted range and for the first, the best fit; else as
    rolling-origin refits depart (`scalinglab.analysis.intervals.rolling`), the same way at all
    points.
    """
    point = {"N": N, "D": D}
    best = np.array([list(result.params.values())])
    doubt = result.origins.extrapolation_std(result.law, best, point, result.scale)
    doubt = np.where(result.measured.inside(point), 0, doubt)
    ways = np.concatenate([[0.0], t_draws(count - 1, result.settings["seed"])])
    return np.outer(ways, doubt)


def read_target(text: str) -> Target:
    """The target that a sentence names.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    match = _WORDS.fullmatch(text.strip())
    if match is None:
        raise UserError(f"target = {text!r} cannot be read; {_FORM}")
    of, where, within, percent, of_compute = match.groups()
    at = {name: _number(text, value) for name, value in _PAIR.findall(where or "")}
    is_known = where is None or _PAIRS.fullmatch(where)
    if not is_known or set(at) not in ({"C"}, {"N", "D"}, set()):
        raise UserError(f"target = {text!r}: what follows 'at' is C=... or N=... D=...; {_FORM}")
    if (of in ("loss", "N", "D")) != bool(at) or (of != "loss" and "D" in at):
        raise UserError(f"target = {text!r} names no point; {_FORM}")
    good = None if within is None else _number(text, within) / (100 if percent else 1)
    if of_compute and not at:
        raise UserError(
            f"target = {text!r}: {of} costs no compute; say how well in its own unit: 'within 5%'"
        )
    return Target(of, at, good, of_compute is not None)


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = np.nan
    if not (np.isfinite(number) and number > 0):
        raise UserError(f"target = {text!r}: {value!r} is no positive number")
    return number
