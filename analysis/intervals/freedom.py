"""How well few groups of rows determine a standard error.

A standard error comes from the residuals of independent groups. The fit bends towards the groups
that decide a parameter, so their residuals are too small; and if few groups decide it, its standard
error is uncertain itself. Both follow from the design alone, as in Bell and McCaffrey (2002) and
Imbens and Kolesár (2016), here for an error that all rows of a group share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

LEAST_DEGREES = 1.5
_SAME_DIRECTION = 1e-9  # singular values, relative to the largest, that count as zero


@dataclass(frozen=True)
class Freedom:
    """How well groups of rows determine the standard error of each parameter.

    Attributes
    ----------
    left : array, shape (parameters,)
        Share of its variance that the residuals still show after the fit; 1 for many groups.
    degrees : array, shape (parameters,)
        Its degrees of freedom (Satterthwaite).
    """

    left: Array
    degrees: Array

    @property
    def least(self) -> float:
        """The fewest degrees of freedom of any parameter."""
        return float(self.degrees.min(initial=np.inf))


def freedom(jacobian: Array, group: Array, prior_rows: Array | None = None) -> Freedom:
    """Judge a design by its Jacobian, shape (parameters, n), and the group of each row.

    `prior_rows` are a prior's Jacobian, shape (parameters, m): they hold parameters without an
    error that residuals would have to show.

    The estimate of parameter j moves by h'e for errors e, and its variance is estimated by the sum
    over groups of (h_g' r_g)², r being the residuals. For errors shared by the rows of each group
    that is luck' K' K luck with K = diag(t) - A P': t and P are sums over groups of h and of an
    orthonormal basis q of the Jacobian, A those of h times q. Its mean is the trace of K K', its
    variance twice that of the square; neither needs a matrix of groups times groups.
    """
    rows = jacobian if prior_rows is None else np.hstack([jacobian, prior_rows])
    size = np.linalg.norm(rows, axis=1)
    scaled = (rows / np.where(size > 0, size, 1)[:, None]).T
    q, singular, right = np.linalg.svd(scaled, full_matrices=False)
    is_determined = singular > _SAME_DIRECTION * singular[0]
    q = q[:, is_determined]
    q = q[: len(group)]
    influence = q @ (right[is_determined] / singular[is_determined, None])
    groups = int(group.max()) + 1
    shared = _sums(q, group, groups)
    judged = [
        _judge(_sums(weights, group, groups)[:, 0], _sums(q * weights, group, groups), shared)
        for weights in influence.T[:, :, None]
    ]
    left, degrees = np.array(judged).T
    return Freedom(left, degrees)


def _judge(total: Array, across: Array, shared: Array) -> tuple[float, float]:
    truth = float(total @ total)
    if not truth > 0:
        return 0.0, 0.0
    k = shared.shape[1]
    wide = np.hstack([total[:, None] * shared, across])
    core = np.block([[np.zeros((k, k)), -np.eye(k)], [-np.eye(k), shared.T @ shared]])
    # K K' = diag(total²) + wide core wide'
    product = core @ (wide.T @ wide)
    mean = truth + float(np.trace(product))
    mixed = np.einsum("gi,ij,gj->g", wide, core, wide)
    square = float(np.sum(total**4) + 2 * total**2 @ mixed + np.trace(product @ product))
    return max(mean, 0.0) / truth, max(mean, 0.0) ** 2 / max(square, 1e-300)


def _sums(rows: Array, group: Array, groups: int) -> Array:
    """Sums over each group, shape (groups, columns)."""
    return np.stack([np.bincount(group, column, groups) for column in rows.T], axis=1)


def reason_to_withhold(estimate: Freedom) -> str:
    """Why no interval should be given; empty where it may be.

    With one degree of freedom the 95 % intervals of `scalinglab.analysis.intervals.resample`
    contained the truth in 0 to 83 of 100 studies (three parameters from 4 points, a surface from 2
    to 4 trunks); with 1.8, of 5 points, in 87 to 89; from 2.5 on in 88 and more (the least: a
    surface from 3 x 3 points).
    """
    if estimate.least >= LEAST_DEGREES:
        return ""
    return (
        f"no intervals are given: they would rest on {estimate.least:.1f} degrees of freedom; add "
        "sizes or independent runs"
    )
