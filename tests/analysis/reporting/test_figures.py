"""Figures can be read: names of lines stand apart, ticks are short."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.reporting import figures


@pytest.mark.parametrize(("value", "text"), [(1e8, "1e8"), (2e10, "2e10"), (1.0, "1e0")])
def test_a_power_is_written_without_a_needless_zero(value: float, text: str) -> None:
    assert figures._power(value) == text


def test_lines_that_run_together_have_names_one_above_the_other() -> None:
    ax = Figure().subplots()
    for k in range(4):
        ax.plot([1, 10], [2, 1 + 1e-4 * k], label=f"line {k}")
    ax.set_yscale("log")
    figures._name_lines(ax)
    heights = [text.xy[1] for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == [f"line {k}" for k in range(4)]
    assert np.diff(heights).min() >= figures._APART - 1e-12
    low, high = np.log(ax.get_ylim())
    assert heights[0] == pytest.approx((np.log(1) - low) / (high - low))
