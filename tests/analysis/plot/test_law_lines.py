"""Which laws have lines of sizes and a best split."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis import plot


@pytest.mark.parametrize("column", ["C", "D"])
def test_the_runs_of_a_law_in_one_variable_are_drawn_without_a_best_split(column):
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e8, 3), np.geomspace(1e8, 1e10, 4)))
    runs = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D, "seed": 0})
    runs["loss"] = 1.7 + 40 * runs[column] ** -0.1
    found = analysis.fit("power_plus_constant", runs, columns={"x": column}, resamples=20)
    ax = plot.loss_against_compute(found, runs)
    assert "best split" not in ax.get_legend_handles_labels()[1]
