"""Censored rows of a fit: the likelihood of a bound (Tobin 1958; Hu et al. 2023 cap their samples).

With Gaussian noise of deviation s on the scale of the fit the log-likelihood of "at least b" is log
Phi((predicted - b) / s), that of "at most b" log Phi((b - predicted) / s). The robust cost of the
measured rows is no log-likelihood; `Objective.information` is the exchange rate between the two.
The deviation is that of the measured rows and of the censored ones together, by the steps of
expectation and maximisation: a censored row adds its expected squared error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scalinglab.analysis.intervals.measured import along
from scalinglab.analysis.intervals.rolling import Refit
from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.tables.bounds import Bounds

_ROOT = np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class Censored:
    """What censored rows add to the objective of a fit.

    Attributes
    ----------
    columns : dict of array, shape (..., m)
    bound : array, shape (m,)
        On the scale of the fit.
    side : array, shape (m,)
        As in `Bounds`.
    spread : float
        Deviation of the noise, on that scale.
    information : float
        See `Objective.information`.
    """

    columns: Columns
    bound: Array
    side: Array
    spread: float
    information: float = field(default=1.0)

    @classmethod
    def of(cls, bounds: Bounds, scale: ErrorScale, spread: float, information: float) -> Censored:
        """Censored rows of a table, on the scale of a fit."""
        return cls(bounds.columns, scale.of(bounds.bound), bounds.side, spread, information)

    def __len__(self) -> int:
        return len(self.bound)

    def terms(
        self, law: Law, params: Array, scale: ErrorScale, weight: Array
    ) -> tuple[Array, Array, Array]:
        """Value (b,), gradient (b, p) and curvature (b, p, p) of parameters (b, p).

        `weight`, (b, m) or (m,), multiplies the cost of each row.
        """
        predicted, jacobian = law.jacobian(params, self.columns)
        z = self._away(scale.of(predicted))
        log_likelihood, mills = _normal(z)
        strength = weight / self.information
        slope = -strength * self.side * mills / self.spread
        bend = strength * mills * (mills + z) / self.spread**2
        jacobian = jacobian * scale.slope(predicted)[:, None, :]
        value = -(strength * log_likelihood).sum(-1)
        gradient = (jacobian @ slope[:, :, None])[:, :, 0]
        return value, gradient, (jacobian * bend[:, None, :]) @ jacobian.transpose(0, 2, 1)

    def expected_squares(self, predicted: Array) -> float:
        """Sum of the expected squared errors, where the law predicts so on the scale of the fit."""
        z = self._away(predicted)
        return float((self.spread**2 * (1 - z * _normal(z)[1])).sum())

    def kept_by(self, refits: Sequence[Refit], columns: Columns) -> Array:
        """Which rows lie within what each refit keeps of the measured rows, (refits, m).

        `columns` are those of the measured rows.
        """
        keep = []
        for refit in refits:
            limit = (refit.sign * along(refit.axis, columns))[refit.keep].max()
            keep.append(refit.sign * along(refit.axis, self.columns) <= limit)
        return np.array(keep, np.float32)

    def up_to(self, columns: Columns) -> Censored:
        """The rows that lie nowhere beyond some measured ones."""
        inside = np.ones(len(self), bool)
        for name, column in columns.items():
            if column.ndim == 1:
                inside &= self.columns[name] <= column.max()
        return replace(
            self,
            columns={name: column[..., inside] for name, column in self.columns.items()},
            bound=self.bound[inside],
            side=self.side[inside],
        )

    def _away(self, predicted: Array) -> Array:
        return self.side * (predicted - self.bound) / self.spread


def _normal(z: Array) -> tuple[Array, Array]:
    """Logarithm of the normal distribution, and its density over it."""
    # scipy takes 0.2 s to import: fits without censored rows do not wait for it.
    from scipy.special import log_ndtr

    log_cdf = log_ndtr(z)
    return log_cdf, np.exp(-0.5 * z**2 - log_cdf) / _ROOT
