"""The log compute multiplier as a straight line in log C, known at the target and at any size.

y_i is the log of the compute that the baseline needs for the candidate's loss at size i, over the
candidate's. It comes from the mean log ratio of paired losses, so what both arms share (a seed,
the baseline's distance from its law) is not in it; the law gives the rate of exchange only. The
line y = a + b log(C / C_target) makes a the answer. These make it uncertain:

- seeds: the variance of pairs, estimated; intervals hold at every look at once;
- lack of fit: departures of y_i from the line, one a size, which no seed averages away. Three to
  five sizes hardly tell their variance, so that starts from a prior of a few sizes' weight;
- the evaluation text: a given standard deviation of the log ratio, independent between sizes or the
  same at all, whichever is worse;
- the baseline's law: refits without each size (jackknife);
- timing: where compute is counted in measured seconds, their scatter between pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri, stdtrit

from scalinglab.analysis.transfer.base_law import BaseLaw, fit_base_law
from scalinglab.analysis.transfer.confidence_sequence import anytime_quantile
from scalinglab.analysis.transfer.size_means import SizeMeans

Array = np.ndarray

LACK_OF_FIT = 0.01  # prior standard deviation of log m about the line
_PRIOR_SIZES = 4.0  # degrees of freedom of that prior
_FIRST_LOOK = 2  # pairs a size


@dataclass(frozen=True)
class Uncertainty:
    """Assumptions about the noise.

    Attributes
    ----------
    lack_of_fit : float
        Expected standard deviation of the log multiplier about its line.
    text : float
        Standard deviation of the log ratio of two losses that comes from the evaluation text.
    level : float
        Level of the intervals.
    """

    lack_of_fit: float = LACK_OF_FIT
    text: float = 0.0
    level: float = 0.95


@dataclass(frozen=True)
class Interval:
    """A value of the line, with an interval that holds at every look.

    Attributes
    ----------
    value, lower, upper : float
    parts : dict of str to float
        Half widths from seeds, timing, lack of fit, text and law, each alone.
    """

    value: float
    lower: float
    upper: float
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def half_width(self) -> float:
        """Half of the interval."""
        return self.upper - self.value


@dataclass(frozen=True)
class MultiplierLine:
    """The line through the sizes' log multipliers.

    Attributes
    ----------
    sizes : SizeMeans
    law : BaseLaw
    x : array
        log(C / C_target).
    y : array
        Log multipliers.
    exchange : array
        Change of y with the log ratio of the losses, absolute.
    misfit : float
        Standard deviation of y about the line, at given seeds.
    refits : array, shape (sizes, sizes)
        y by the law without each size.
    known : Uncertainty
    """

    sizes: SizeMeans
    law: BaseLaw
    x: Array
    y: Array
    exchange: Array
    misfit: float
    refits: Array
    known: Uncertainty

    @classmethod
    def of(cls, sizes: SizeMeans, target: float, noise: Uncertainty) -> MultiplierLine:
        """The line for a target in FLOPs, with at least three sizes."""
        law, refitted_laws = fit_base_law(sizes.cost, sizes.baseline)
        x = np.log(sizes.C / target)
        y = _multipliers(law, sizes)
        exchange = 1 / np.maximum(law.slope(sizes.cost * np.exp(y)), 1e-6)
        refits = np.array([_multipliers(refitted_law, sizes) for refitted_law in refitted_laws])
        seeds = np.nan_to_num(sizes.pooled) * exchange**2 / sizes.counts
        misfit = _misfit(x, y, seeds, noise.lack_of_fit)
        return cls(sizes, law, x, y, exchange, misfit, refits, noise)

    def weights(self, at: float, slope: bool = False) -> Array:
        """Weight of each size, shape (sizes,), in the line's value at a place, or in its slope."""
        seeds = np.nan_to_num(self.sizes.pooled) * self.exchange**2 / self.sizes.counts
        variances = self.misfit**2 + seeds
        return _weights(self.x, variances, at, slope)

    def at(self, C_over_target: float) -> Interval:
        """The log multiplier at a compute."""
        return self._interval(self.weights(float(np.log(C_over_target))))

    @property
    def slope(self) -> Interval:
        """b: the change of the log multiplier with log C."""
        return self._interval(self.weights(0.0, slope=True))

    def _interval(self, weights: Array) -> Interval:
        value = float(weights @ self.y)
        parts = self._parts(weights)
        half = float(np.sqrt(sum(part**2 for part in parts.values())))
        return Interval(value, value - half, value + half, parts)

    def _parts(self, weights: Array) -> dict[str, float]:
        sizes, noise, tail = self.sizes, self.known, (1 + self.known.level) / 2
        at_a_pair = (weights * self.exchange) ** 2
        pooled, residual = (
            np.sum(at_a_pair * v / sizes.counts) for v in (sizes.pooled, sizes.variances)
        )
        looks = float(np.sum(at_a_pair) / _FIRST_LOOK / np.sum(at_a_pair / sizes.counts))
        freedom = _PRIOR_SIZES + len(self.x) - 2
        normal = float(ndtri(tail))
        of_text = weights * self.exchange * noise.text
        refits = self.refits @ weights
        law = np.sum((refits - refits.mean()) ** 2) * (len(refits) - 1) / len(refits)
        quantile = anytime_quantile(looks, sizes.freedom, noise.level)
        timing = float(np.sqrt(np.sum(weights**2 * sizes.pooled_dearer / sizes.counts)))
        return {
            "seeds": quantile * float(np.sqrt(max(pooled, residual))) if sizes.freedom else np.inf,
            "timing": quantile * timing if timing > 0 else 0.0,
            "lack of fit": float(stdtrit(freedom, tail))
            * self.misfit
            * float(np.sqrt(np.sum(weights**2))),
            "text": normal * float(np.sqrt(max(np.sum(of_text**2), np.sum(of_text) ** 2))),
            "law": normal * float(np.sqrt(law)),
        }


def _multipliers(law: BaseLaw, sizes: SizeMeans) -> Array:
    return law.log_multiplier(sizes.cost, sizes.ratio) - sizes.dearer


def _weights(x: Array, variances: Array, at: float, slope: bool) -> Array:
    """Weighted least squares of a line: how much each value counts."""
    share = (1 / variances) / np.sum(1 / variances)
    middle = share @ x
    centred = share * (x - middle)
    turn = centred / (centred @ (x - middle))
    return turn if slope else share + (at - middle) * turn


def _misfit(x: Array, y: Array, seeds: Array, prior: float) -> float:
    """Standard deviation of y about the line beside the seeds', from residuals and a prior."""
    variances = prior**2 + seeds
    hat = np.stack([_weights(x, variances, at, False) for at in x])
    complement = np.eye(len(x)) - hat
    squares = complement**2
    excess = np.sum((complement @ y) ** 2) - np.sum(squares @ seeds)
    spare = len(x) - 2
    moment = max(float(excess / np.sum(squares)), 0.0)
    return float(np.sqrt((_PRIOR_SIZES * prior**2 + spare * moment) / (_PRIOR_SIZES + spare)))
