"""The resamples of a fit of one law, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scalinglab.analysis.fitting.best_fit import BestFit
from scalinglab.analysis.intervals.draws import Draws
from scalinglab.analysis.intervals.freedom import reason_to_withhold
from scalinglab.analysis.intervals.resample import check_method, draw
from scalinglab.analysis.laws.law import Array
from scalinglab.scaling.errors import UserError

GIVEN = "given"  # the method of resamples that the caller of `fit` passed


@dataclass(frozen=True)
class Resampling:
    """How a fit is resampled.

    Attributes
    ----------
    method : str
        A method of `draw`, or `GIVEN`.
    count : int
        Number of resamples that were asked for.
    draws : Draws or None
        None where none were asked for or they are withheld.
    withheld : str
        Why there are no intervals; empty where there are some.
    """

    method: str
    count: int
    draws: Draws | None = None
    withheld: str = ""


def resample_fit(
    fitted: BestFit, method: str | Array, count: int, seed: int, rows: int
) -> Resampling:
    """Draw the resamples of a fit, unless too few independent groups determine its parameters.

    Parameters
    ----------
    fitted : BestFit
    method : str or array, shape (resamples, rows)
        See `analysis.fit`.
    count, seed : int
    rows : int
        Number of rows of the table, for an array of responses.

    Raises
    ------
    UserError
        For an unknown method, or an array that does not fit the table.
    """
    if not isinstance(method, str):
        draws = _draws_of_responses(method, rows, fitted)
        return Resampling(GIVEN, len(draws), draws)
    sample = fitted.sample
    check_method(sample, method)
    if not count:
        return Resampling(method, count)
    if withheld := reason_to_withhold(fitted.freedom):
        return Resampling(method, count, withheld=withheld)
    return Resampling(method, count, draw(sample, method, count, seed, fitted.misfit.prior))


def _draws_of_responses(responses: Array, rows: int, fitted: BestFit) -> Draws:
    """Resamples from what the response could have been, shape (resamples, rows)."""
    responses = np.asarray(responses, float)
    if responses.ndim != 2 or responses.shape[1] != rows:
        raise UserError(
            f"resample: an array of responses must have the shape (resamples, {rows}), not"
            f" {responses.shape}"
        )
    targets = fitted.misfit.scale.of(responses[:, fitted.points.rows])
    if not np.isfinite(targets).all():
        raise UserError("resample: the responses must be finite, and positive for relative errors")
    return Draws(targets=targets)
