"""What lies inside the fitted range: one rule, by columns, ratios and product."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.intervals.measured import INSIDE, Measured

SWEEP = {"N": np.array([1e8, 4e8, 1e8, 4e8]), "D": np.array([4e9, 1e9, 2e9, 2e9])}


def at(N: float, D: float) -> dict[str, np.ndarray]:
    return {"N": np.array([N]), "D": np.array([D])}


def test_a_point_is_as_far_outside_as_along_its_farthest_axis():
    measured = Measured.of(SWEEP, ("N", "D"))
    assert set(measured.ends) == {("N",), ("D",), ("D/N",), ("N", "D")}
    assert measured.beyond(at(2e8, 2e9))[0] == 1
    assert measured.beyond(at(1.2e9, 1e9))[0] == pytest.approx(3)  # N, though N D by 1.5 only
    assert measured.beyond(at(4e8, 4e9))[0] == pytest.approx(2)  # N D, though N and D were measured
    assert measured.beyond(at(1e8, 1e9 / INSIDE))[0] == pytest.approx(2 * INSIDE)  # N D from below
    assert measured.outside(at(4e8, 4e9)) == ["N D = 1.6e+18 by 2x (fitted 2e+17 to 8e+17)"]
    assert measured.outside(at(2e8, 2e9)) == []


def test_a_rounded_step_is_inside():
    measured = Measured.of(SWEEP, ("N", "D"))
    assert measured.inside(at(4e8, 2.01e9))[0] and not measured.inside(at(4e8, 2.1e9))[0]


def test_what_both_measured_ends_where_either_does():
    one, other = Measured.of(at(1e8, 1e9), ("N", "D")), Measured.of(SWEEP, ("N", "D"))
    both = Measured.of({"N": np.array([1e8, 8e8]), "D": np.array([3e9, 3e9])}, ("N", "D"))
    assert other.common(both).ends["N",] == other.ends["N",]
    assert other.common(both).beyond(at(8e8, 3e9))[0] == pytest.approx(3)  # N D
    assert one.common(other).ends["N",] == (np.log(1e8), np.log(1e8))


def test_answers_agree_on_what_is_inside():
    """Predictions, allocations and comparisons of two recipes, with and without resamples."""
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    keep = (D / N > 2) & (D / N < 5000)
    runs = pd.DataFrame({"N": N[keep], "D": D[keep]})
    runs["loss"] = 1.7 + 400 / runs.N**0.34 + 1800 / runs.D**0.37
    for resamples in (0, 20):
        fit = analysis.fit("chinchilla", runs, resamples=resamples)
        table = analysis.allocate(fit, [1e18, 1e19, 6.2e20, 1e22]).table
        assert list(fit.predict(table)["inside"]) == list(table["inside"])
        assert table["inside"].iloc[1] and not table["inside"].iloc[-1]
    arms = pd.concat([runs.assign(arm="a"), runs.assign(arm="b", loss=runs.loss * 0.99)])
    found = analysis.compare_arms(arms, resamples=0)
    assert list(found.scales["inside"]) == [True, False, False]
    assert list(fit.predict(found.scales[["N", "D"]])["inside"]) == [True, False, False]
