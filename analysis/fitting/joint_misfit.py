"""Misfits of one law to several tables, minimised as one batch.

A step of the solver costs nearly the same for two problems as for twenty, and the last problems of
a fit take most of its steps. Fits of the same law to other tables share these steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import Minimisation, Solution, solve
from scalinglab.analysis.fitting.misfit import Misfit, Seen, Terms, in_blocks

Array = np.ndarray

_PADDED = 1.0  # the response in rows without weight: any that is possible
_SAME_NUMBERS = ("damping", "tolerance", "patience", "floor", "steps")
_SAME_ARRAYS = ("low", "high", "max_step")


@dataclass(frozen=True)
class JointMisfit:
    """Misfits of the same law and objective to several tables.

    Shorter tables are padded with rows without weight.

    Attributes
    ----------
    parts : tuple of Misfit
    counts : array of int, shape (parts,)
        How many problems of the batch each part has, one part after another.
    """

    parts: tuple[Misfit, ...]
    counts: Array

    def __call__(self, u: Array, problem: Array, caution: Array) -> Terms:
        """As of `Misfit`."""
        size = self._rows * len(self._any.space.law.names)
        return in_blocks(self._block, size, u, problem, caution)

    @property
    def _any(self) -> Misfit:
        return self.parts[0]

    @cached_property
    def _rows(self) -> int:
        return max(len(part.target) for part in self.parts)

    def _block(self, u: Array, problem: Array, caution: Array) -> Terms:
        params = self._any.space.expand(u)
        seen = self._seen(params, problem)
        return self._any.of_coordinates(u, params, seen, self._any.terms(seen, caution))

    def _seen(self, params: Array, problem: Array) -> Seen:
        """What each problem sees of its own table."""
        wide, scale = (len(params), self._rows), self._any.scale
        has_priors, free = self._any.prior is not None, len(self._any.space.free)
        predicted, jacobian = self._law(params, problem)
        joint = Seen(
            predicted,
            jacobian,
            target=np.broadcast_to(scale.of(np.array(_PADDED)), wide).copy(),
            weight=np.zeros(wide),
            centre=np.zeros((len(params), free if has_priors else 0)),
            sharpness=np.ones(wide),
            strength=np.zeros((len(params), free)) if has_priors else None,
        )
        for part, at, own_problem in self._of_parts(problem):
            n = len(part.target)
            target, joint.weight[at, :n], joint.centre[at] = part.points(own_problem)
            joint.target[at, :n], joint.sharpness[at, :n] = target, part.sharpness
            if joint.strength is not None and part.prior is not None:
                joint.strength[at] = part.prior.strength
        return joint

    def _law(self, params: Array, problem: Array) -> tuple[Array, Array]:
        """Values (b, n) and derivatives (b, p, n) of the law at each problem's own table."""
        law = self._any.space.law
        if self._have_same_columns:
            return law.jacobian(params, self._any.columns)
        predicted = np.full((len(params), self._rows), _PADDED)
        jacobian = np.zeros((*params.shape, self._rows))
        for part, at, _ in self._of_parts(problem):
            n = len(part.target)
            predicted[at, :n], jacobian[at, :, :n] = law.jacobian(params[at], part.columns)
        return predicted, jacobian

    @cached_property
    def _have_same_columns(self) -> bool:
        """Tasks of the same models have; their law is then called once."""
        columns = self._any.columns
        return all(
            np.array_equal(columns[name], part.columns[name])
            for part in self.parts
            for name in columns
        )

    def _of_parts(self, problem: Array) -> Iterator[tuple[Misfit, slice, Array]]:
        """Each part with problems among these, which are in order: where, and their numbers."""
        ends = np.cumsum(self.counts)
        places = problem.searchsorted(ends).tolist()
        at = 0
        for part, end, before in zip(self.parts, places, ends - self.counts, strict=True):
            if end > at:
                yield part, slice(at, end), problem[at:end] - before
            at = end


def solve_jointly(asked: Sequence[Minimisation]) -> list[Solution]:
    """Solve batches, as one those of the same law, objective and options.

    Returns
    -------
    list of Solution
        One each; those of a joint batch are what they are alone within rounding.
    """
    solutions: dict[int, Solution] = {}
    while left := [k for k in range(len(asked)) if k not in solutions]:
        together = [k for k in left if k == left[0] or _joins(asked[left[0]], asked[k])]
        solutions |= zip(together, _solve_as_one([asked[k] for k in together]), strict=True)
    return [solutions[k] for k in range(len(asked))]


def _joins(one: Minimisation, other: Minimisation) -> bool:
    """Whether two batches can be one."""
    if not (isinstance(one.assess, Misfit) and isinstance(other.assess, Misfit)):
        return False
    same = all(getattr(one, name) == getattr(other, name) for name in _SAME_NUMBERS)
    same = same and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in _SAME_ARRAYS
    )
    a, b = one.assess, other.assess
    priors = (a.prior is None) == (b.prior is None)
    plain = a.censored is None and b.censored is None
    return same and priors and plain and a.space == b.space and a.objective == b.objective


def _solve_as_one(asked: Sequence[Minimisation]) -> list[Solution]:
    if len(asked) == 1:
        return [solve(asked[0])]
    counts = np.array([len(batch.start) for batch in asked])
    parts = tuple(batch.assess for batch in asked if isinstance(batch.assess, Misfit))
    joint = replace(
        asked[0],
        assess=JointMisfit(parts, counts),
        start=np.concatenate([batch.start for batch in asked]),
        frozen=np.concatenate([batch.frozen for batch in asked]),
    )
    solution, ends = solve(joint), np.cumsum(counts).tolist()
    return [solution[slice(end - n, end)] for end, n in zip(ends, counts.tolist(), strict=True)]
