import numpy as np
import pytest

from scalinglab import analysis


def test_scores_of_known_errors():
    found = analysis.scores([1.0, 2.0, 3.0, np.nan], [1.1, 2.1, 3.1, 5.0])
    assert found["points"] == 3
    assert found["mae"] == pytest.approx(0.1)
    assert found["r2"] == pytest.approx(1 - 0.03 / 2)
    assert found["one_sided"] == 1


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 measured values and 1 predicted"):
        analysis.scores([1, 2], [1])
