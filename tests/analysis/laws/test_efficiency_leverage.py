"""What the constants of arXiv:2507.17702 say, as the paper reports it."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.laws.efficiency_leverage import EFFICIENCY_LEVERAGE as LAW


def _leverage(**columns) -> np.ndarray:
    params = np.array([[LAW.reference[name] for name in LAW.names]])
    return LAW.predict(params, LAW.read(pd.DataFrame(columns)))[0]


def test_the_published_constants_give_what_the_paper_reports():
    """More than seven at 3.1 %, granularity 12 and 1e22 FLOPs: the bases of the logarithms."""
    assert 7 < _leverage(A=[0.031], G=[12.0], C=[1e22])[0] < 7.5


def test_the_best_granularity_is_about_12_and_a_dense_model_is_worth_itself():
    G = np.geomspace(1, 64, 200)
    best = G[np.argmax(_leverage(A=np.full(200, 0.031), G=G, C=np.full(200, 1e22)))]
    assert 10 < best < 13
    assert _leverage(A=[1.0], G=[1.0], C=[1e22])[0] == pytest.approx(1, abs=0.02)
