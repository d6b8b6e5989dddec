"""Ticks of logarithmic axes: round, as many as fit, and more than two within a decade."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.plot.labels import of_arms
from scalinglab.analysis.plot.style import panels
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import short


@pytest.mark.parametrize(
    ("low", "high", "least"), [(1.24e5, 2.92e5, 3), (1e5, 9e5, 3), (1e7, 1e11, 3), (9e5, 4e6, 3)]
)
def test_a_range_of_any_width_has_three_ticks(low: float, high: float, least: int) -> None:
    (ax,) = panels(4.7, 0.7)
    log_axis(ax.yaxis, short)
    ax.set_ylim(low, high)
    ticks = ax.yaxis.get_major_locator()()
    assert len(ticks) >= least and all(low <= tick <= high for tick in ticks)
    digits = [f"{tick:.3e}".partition("e")[0].rstrip("0") for tick in ticks]
    assert max(map(len, digits)) <= 4, digits  # round ones
    gaps = np.diff(np.log([low, *ticks, high])) / np.log(high / low)
    assert gaps.max() < 0.5


def test_a_label_has_the_names_of_arms_that_it_has_room_for() -> None:
    labels = (
        "loss of {B} against {A} (%)",
        "loss against {A} (%)",
        "loss against the baseline (%)",
    )
    assert of_arms(("relu", "gelu"), *labels) == "loss of gelu against relu (%)"
    assert of_arms(("adamw", "muon with a long name"), *labels) == "loss against adamw (%)"
    assert of_arms(("adamw with quite a long name", "muon"), *labels) == labels[-1]
