"""How badly a law misses the points: value, gradient and curvature for many parameters at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from scalinglab.analysis.fitting.censored import Censored
from scalinglab.analysis.fitting.levenberg_marquardt import Assess
from scalinglab.analysis.fitting.objective import Objective
from scalinglab.analysis.fitting.space import Space
from scalinglab.analysis.intervals.draws import Draws, Prior
from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Columns

Array = np.ndarray

_BLOCK = 1 << 17  # numbers in a block's Jacobian: one that stays in the processor's cache
_KEPT = 1 << 21  # numbers: the most that the C library learns from, 32 MB in its own terms


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of one block for the next.

    glibc returns freed memory to the system above a threshold, which it raises to the largest array
    that it has freed. This function frees a large array that is never touched. Without it the
    arrays of every block were faulted in page by page: a third to a half of the time of a fit.
    """
    np.empty(_KEPT)


_keep_freed_memory()


Terms = tuple[Array, Array, Array]  # value, gradient and curvature of each problem


@dataclass(frozen=True)
class Seen:
    """What the problems of a block see.

    Attributes
    ----------
    predicted : array, shape (b, n)
    jacobian : array, shape (b, parameters, n)
    target, weight : array, shape (b, n) or (n,)
    centre : array, shape (b, free) or (free,)
        Of the priors; empty where there are none.
    sharpness : array, shape (b, n) or (n,)
    strength : array, shape (b, free) or (free,), optional
        Of the priors.
    """

    predicted: Array
    jacobian: Array
    target: Array
    weight: Array
    centre: Array
    sharpness: Array
    strength: Array | None


def in_blocks(assess: Assess, size: int, u: Array, problem: Array, caution: Array) -> Terms:
    """Assess problems in blocks; `size` is how many numbers the Jacobian of one has."""
    length = max(1, _BLOCK // size)
    parts = [slice(at, at + length) for at in range(0, len(u), length)]
    with np.errstate(all="ignore"):  # a wild trial overflows; the solver sees inf and refuses
        blocks = [assess(u[p], problem[p], caution[p, None]) for p in parts]
    if len(blocks) == 1:
        return blocks[0]
    value, gradient, curvature = (np.concatenate(of) for of in zip(*blocks, strict=True))
    return value, gradient, curvature


@dataclass(frozen=True)
class Misfit:
    """The objective of a fit as a function of free coordinates, ready for `solver.minimise`.

    Attributes
    ----------
    space : Space
    objective : Objective
    columns : dict of array, shape (..., n)
    target : array, shape (n,)
        The measured response, on the scale of the objective.
    weight : array, shape (n,)
        Multiplies a row's cost.
    sharpness : array, shape (n,)
        Divides a row's residual by its noise, relative to the typical noise.
    draws : tuple of Draws
        Problem p of the batch sees resample p of all of these, one after another.
    prior : Prior, optional
    censored : Censored, optional
        Rows of which a bound is known.
    """

    space: Space
    objective: Objective
    columns: Columns
    target: Array
    weight: Array
    sharpness: Array
    draws: tuple[Draws, ...] = ()
    prior: Prior | None = None
    censored: Censored | None = None
    _select: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_select", self.space.select)

    def __call__(self, u: Array, problem: Array, caution: Array) -> Terms:
        """Value (b,), gradient (b, free) and curvature (b, free, free) at coordinates (b, free)."""
        size = len(self.target) * len(self.space.law.names)
        return in_blocks(self._block, size, u, problem, caution)

    def of_rows(self, chosen: Array) -> Misfit:
        """The same on some rows, by their places, that weigh as much as all."""
        return replace(
            self,
            columns={name: column[..., chosen] for name, column in self.columns.items()},
            target=self.target[chosen],
            weight=self.weight[chosen] * (len(self.target) / len(chosen)),
            sharpness=self.sharpness[chosen],
        )

    def residual(self, u: Array) -> Array:
        """Predicted - measured on the objective's scale, shape (b, n), before sharpness."""
        params = self.space.expand(u)
        return self.scale.of(self.space.law.predict(params, self.columns)) - self.target

    @property
    def scale(self) -> ErrorScale:
        """The scale of target and residuals."""
        return self.objective.scale

    def residual_jacobian(self, u: Array) -> Array:
        """d residual / d coordinate at one point (1, free), weighted, shape (free, n)."""
        params = self.space.expand(u)
        predicted, jacobian = self.space.law.jacobian(params, self.columns)
        chain = self.space.slopes(params)[0][:, None] * self._select
        slope = self.scale.slope(predicted[0]) * np.sqrt(self.weight) * self.sharpness
        return chain.T @ jacobian[0] * slope

    def _block(self, u: Array, problem: Array, caution: Array) -> Terms:
        params = self.space.expand(u)
        seen = self.seen(params, problem)
        terms = self.terms(seen, caution)
        if self.censored is not None:
            beside = self._censored_weight(problem, len(self.censored))
            more = self.censored.terms(self.space.law, params, self.scale, beside)
            terms = (terms[0] + more[0], terms[1] + more[1], terms[2] + more[2])
        return self.of_coordinates(u, params, seen, terms)

    def seen(self, params: Array, problem: Array) -> Seen:
        """What problems see at parameters (b, p)."""
        predicted, jacobian = self.space.law.jacobian(params, self.columns)
        strength = None if self.prior is None else self.prior.strength
        return Seen(predicted, jacobian, *self.points(problem), self.sharpness, strength)

    def terms(self, seen: Seen, caution: Array) -> Terms:
        """Value (b,), gradient (b, p) and curvature (b, p, p) by the law's parameters."""
        residual = (self.scale.of(seen.predicted) - seen.target) * seen.sharpness
        jacobian, weight = seen.jacobian, seen.weight
        jacobian *= (seen.sharpness * self.scale.slope(seen.predicted))[:, None, :]
        cost, slope = self.objective.cost(residual)
        value = (cost * weight).sum(-1)
        if not np.isfinite(value).all() and (unseen := _impossible_unseen(residual, weight)).any():
            residual[unseen] = 0
            jacobian = np.where(unseen[:, None, :], 0.0, jacobian)
            cost, slope = self.objective.cost(residual)
            value = (cost * weight).sum(-1)
        bend = self.objective.curvature(residual, caution) * weight
        gradient = (jacobian @ (slope * weight)[:, :, None])[:, :, 0]
        # Gauss and Newton's: without the law's second derivatives, which no law has to give, it is
        # never negative, and near the minimum of small residuals they hardly count.
        return value, gradient, (jacobian * bend[:, None, :]) @ jacobian.transpose(0, 2, 1)

    def of_coordinates(self, u: Array, params: Array, seen: Seen, terms: Terms) -> Terms:
        """The same by free coordinates, with what the priors add."""
        value, gradient, curvature = terms
        slopes = self.space.slopes(params)
        gradient *= slopes
        curvature *= slopes[:, :, None] * slopes[:, None, :]
        if self.space.fixed or self.space.tied:
            gradient = gradient @ self._select
            curvature = self._select.T @ curvature @ self._select
        if seen.strength is None:
            return value, gradient, curvature
        away, strength = u - seen.centre, seen.strength
        value = value + 0.5 * (strength * away**2).sum(-1)
        curvature = curvature + strength[..., None] * np.eye(strength.shape[-1])
        return value, gradient + strength * away, curvature

    def objective_value(self, u: Array) -> float:
        """The objective at one point, shape (1, free), in its published scale, without priors."""
        cost = self.objective.cost(self.residual(u)[0] * self.sharpness)[0]
        return float((cost * self.weight).sum()) * self.objective.unit

    def points(self, problem: Array) -> tuple[Array, Array, Array]:
        """Targets, weights and centres of the prior that each problem sees: (b, ...), or of all."""
        centre = np.zeros(0) if self.prior is None else self.prior.centre
        every_point = (self.target, self.weight, centre)
        if not self.draws:
            return every_point
        blocks, before, row = [], 0, 0
        for draws in self.draws:
            end = int(problem.searchsorted(before + len(draws)))  # problems are in order
            if end > row:
                blocks.append((end - row, draws.seen(problem[row:end] - before, *every_point)))
            before, row = before + len(draws), end
        if len(blocks) == 1:
            return blocks[0][1]
        target, weight, centre = (
            np.concatenate([np.broadcast_to(v[k], (rows, v[k].shape[-1])) for rows, v in blocks])
            for k in range(3)
        )
        return target, weight, centre

    def _censored_weight(self, problem: Array, count: int) -> Array:
        """The weight of each censored row in each problem, (b, m)."""
        weight, before = np.ones((len(problem), count)), 0
        for draws in self.draws:
            in_draws = (problem >= before) & (problem < before + len(draws))
            if draws.censored is not None:
                weight[in_draws] = draws.censored[problem[in_draws] - before]
            before += len(draws)
        return weight


def _impossible_unseen(residual: Array, weight: Array) -> Array:
    """Rows without a finite residual to which a problem gives no weight, (b, n).

    A step must not be refused because it is impossible at rows that a refit leaves out: that would
    let the refit depend on them.
    """
    return (weight == 0) & ~np.isfinite(residual)
