"""Rows that a refit does not see say nothing to it, not even what is impossible there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis import Law, Parameter
from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit, refit
from scalinglab.analysis.intervals.draws import Draws

LINE = Law(
    name="line",
    formula="L = high - slope x",
    source="made up for this test",
    columns={"x": "anything"},
    parameters=(Parameter("high", start=(1, 9)), Parameter("slope", start=(0, 1))),
    value=lambda x, high, slope: high - slope * x,
)


def test_a_refit_without_rows_is_the_fit_of_the_others():
    """The line through the first rows is below zero at the last ones, which were left out."""
    x = np.arange(1.0, 13.0)
    table = pd.DataFrame({"x": x, "loss": np.where(x < 7, 4.5 - 0.6 * x, 0.5 - 0.01 * x)})
    keep = x < 7
    options = FitOptions(objective="least_squares")
    fitted = best_fit(LINE, table, options)
    (found,) = refit(fitted, Draws(counts=keep[None].astype(float), group=np.arange(len(x))))
    alone = best_fit(LINE, table[keep], options).best.coordinates
    assert LINE.predict(fitted.misfit.space.expand(found), {"x": x})[0, -1] < 0
    assert found[0] == pytest.approx(alone[0], rel=1e-3)
