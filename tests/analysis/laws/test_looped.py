"""What a repetition is worth."""

import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS

AT = dict(E=1.57, A=23.0, alpha=0.199, B=1300.0, beta=0.369)


def _loss(phi: float, **columns) -> float:
    return float(LAWS["looped"].value(**columns, **AT, phi=phi))


def test_without_a_repetition_the_part_that_could_be_repeated_does_not_matter():
    plain = LAWS["chinchilla"].value(N=4e8, D=1e10, **AT)
    for part in (1e8, 4e8):
        assert _loss(0.46, N=4e8, N_loop=part, loops=1, D=1e10) == pytest.approx(plain)


def test_phi_is_the_worth_of_a_repetition():
    """At 1, four loops are as good as layers of their own; at 0.46, 1.9 times the part."""
    for phi, whole in ((1.0, 1e8 + 4 * 3e8), (0.0, 4e8), (0.46, 1e8 + 4**0.46 * 3e8)):
        own = LAWS["chinchilla"].value(N=whole, D=1e10, **AT)
        assert _loss(phi, N=4e8, N_loop=3e8, loops=4, D=1e10) == pytest.approx(own)


def test_it_tells_loops_from_layers_where_chinchilla_does_not(made_by):
    runs, true = made_by("looped", noise=0.002)
    ours = analysis.fit("looped", runs, resamples=100)
    low, high = ours.interval("phi")
    assert low < true["phi"] < high and high - low < 0.2
    plain = analysis.fit("chinchilla", runs, resamples=0)
    assert plain.objective > 3 * ours.objective


def test_a_column_that_is_missing_is_named():
    table = pd.DataFrame({"N": [1e8] * 8, "D": [1e9] * 8, "loss": [3.0] * 8})
    with pytest.raises(ValueError, match="N_loop"):
        analysis.fit("looped", table)
