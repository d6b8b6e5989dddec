"""The published fits of arXiv:2505.10475, one a corpus."""

import pandas as pd
import pytest

from scalinglab import analysis


@pytest.mark.parametrize(
    ("corpus", "objective", "E", "alpha", "k"),
    [
        ("stack_v2_python", 3.6767e-5, 0.69129, 0.18940, 0.39343),
        ("pile", 1.81394e-5, 1.28885, 0.19636, 0.33443),
    ],
)
def test_the_published_fit_is_reproduced(public_data, corpus, objective, E, alpha, k):
    points = pd.read_csv(public_data / "parscale" / "parscale_points.csv")
    points = points[points.corpus == corpus].rename(columns={"params": "N"})
    result = analysis.fit("parscale", points, resamples=200)
    assert result.objective <= objective * 1.00002
    assert result.params["E"] == pytest.approx(E, abs=5e-4)
    assert result.params["alpha"] == pytest.approx(alpha, abs=2e-4)
    assert result.params["k"] == pytest.approx(k, abs=1e-4)
    low, high = result.interval("k")
    assert low < k < high and high - low < 0.2
