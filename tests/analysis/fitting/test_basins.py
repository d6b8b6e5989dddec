"""A second minimum that the data do not rule out is told, with what hangs on it."""

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis import Law, Parameter
from scalinglab.analysis.fitting.basins import basin_warnings
from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit

# Even in `tilt` at the points alone, and odd beyond them: two minima, and two answers.
LAW = Law(
    name="two_minima",
    formula="L = low + tilt^2 / x + tilt (x - 1) (x - 2) (x - 4) / 2e5",
    source="made up for this test",
    columns={"x": "any"},
    parameters=(
        Parameter("low", (1.0, 3.0), low=0),
        Parameter("tilt", (-1.0, 1.0), low=-2, high=2),
    ),
    value=lambda x, low, tilt: low + tilt**2 / x + tilt * (x - 1) * (x - 2) * (x - 4) / 2e5,
)


def points(noise: float = 0.002) -> pd.DataFrame:
    x = np.repeat([1.0, 2.0, 4.0], 8)
    loss = 2 + 0.25 / x
    return pd.DataFrame(
        {"x": x, "loss": loss * np.exp(noise * np.random.default_rng(0).standard_normal(24))}
    )


def test_both_minima_are_reported() -> None:
    (said,) = basin_warnings(best_fit(LAW, points(), FitOptions()))
    assert "two minima fit nearly as well" in said and "tilt" in said
    assert said in analysis.fit(LAW, points(), resamples=0).warnings


def test_one_minimum_is_not_warned_of(made_by) -> None:
    runs, _ = made_by("chinchilla", noise=0.003)
    assert basin_warnings(best_fit("chinchilla", runs, FitOptions())) == []
