"""Which approaches to the best split a planned design can serve."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.served_approaches import served_in_words
from scalinglab.scaling.records.plan_file import AnswerConfig


def planned(N: np.ndarray, D: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"N": N, "D": D}).assign(role="fit")


def test_a_grid_serves_law_and_envelope_and_not_isoflop() -> None:
    N, D = (x.ravel() for x in np.meshgrid([1e4, 3e4, 1e5, 3e5], [1e6, 7e6, 5e7]))
    said = served_in_words(AnswerConfig(), planned(N, D))
    assert "serves: the fitted law (surface), the envelope of final losses; IsoFLOP" in said
    assert "need 4 sizes near the best one at each of 2 budgets or more" in said
    assert "0 of " in said


def test_isoflop_budgets_serve_all_three() -> None:
    C, N = (x.ravel() for x in np.meshgrid([1e12, 1e13], [1e4, 3e4, 1e5, 3e5]))
    said = served_in_words(AnswerConfig(), planned(N, C / 6 / N))
    assert said.endswith("the envelope of final losses, IsoFLOP minima")
    one = served_in_words(AnswerConfig(), planned(N[C < 2e12], C[C < 2e12] / 6 / N[C < 2e12]))
    assert "the envelope of final losses needs 3 sizes that take over from a smaller one" in one
    assert "1 of 1 budgets has 4" in one


def test_a_reference_law_says_whether_larger_sizes_take_over_inside_the_runs() -> None:
    N, D = (x.ravel() for x in np.meshgrid([1e4, 3e4, 1e5, 3e5], [1e6, 7e6, 5e7]))
    law = {"E": 0.6, "A": 23.0, "alpha": 0.37, "B": 700.0, "beta": 0.52}
    assert "the envelope" in served_in_words(AnswerConfig(reference=law), planned(N, D))
    short = served_in_words(AnswerConfig(reference=law | {"B": 7000.0}), planned(N, D))
    assert "the fitted law (surface); the envelope of final losses needs 3 sizes" in short
    assert "by the reference law 0 do" in short


def test_only_a_law_of_sizes_and_tokens_has_approaches() -> None:
    points = planned(np.array([1e4, 2e4]), np.array([1e6, 1e6]))
    assert served_in_words(AnswerConfig(law="power"), points) == ""
    assert served_in_words(AnswerConfig(kind="tune"), points) == ""
    assert served_in_words(AnswerConfig(), points.assign(role="held_out")) == ""
