"""Models that shrink or grow while they train."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis

TRUE = {"E": 1.7, "A": 400.0, "alpha": 0.34, "B": 1800.0, "beta": 0.37}


def _pruned() -> pd.DataFrame:
    """Runs of three stages: full size for a quarter, half way down for a half, then pruned."""
    rows = []
    for k, N in enumerate(np.geomspace(5e7, 5e9, 6)):
        for j, D in enumerate(np.geomspace(1e9, 1e11, 5)):
            for left in (1.0, 0.5, 0.2):
                run = f"{k}/{j}/{left}"
                rows += [(run, N, D / 4), (run, N * (1 + left) / 2, D / 2), (run, N * left, D / 4)]
    return pd.DataFrame(rows, columns=["run", "N", "tokens"])


def test_the_average_is_over_tokens():
    stages = pd.DataFrame({"run": "a", "N": [100.0, 40.0], "tokens": [1e9, 3e9]})
    table = analysis.average_parameters(stages)
    assert table.loc["a", "N_mean"] == 55 and table.loc["a", "D"] == 4e9


def test_dense_and_pruned_models_are_on_one_surface():
    stages = _pruned()
    runs = analysis.average_parameters(stages)
    runs["loss"] = 1.7 + 400 / runs.N_mean**0.34 + 1800 / runs.D**0.37
    result = analysis.fit("avg_params", runs, resamples=0)
    for name, true in TRUE.items():
        assert result.params[name] == pytest.approx(true, rel=1e-4)
    final = stages.groupby("run").N.last()
    wrong = analysis.fit("chinchilla", runs.assign(N=final), resamples=0)
    assert np.std(wrong.residuals) > 0.005 > 1e4 * np.std(result.residuals)


def test_for_dense_models_it_is_chinchilla(made_by):
    runs, _ = made_by("chinchilla", noise=0.01)
    plain = analysis.fit("chinchilla", runs, resamples=0)
    ours = analysis.fit("avg_params", runs, columns={"N_mean": "N"}, resamples=0)
    assert ours.params == pytest.approx(plain.params)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: s.drop(columns="tokens"), "need column 'tokens'"),
        (lambda s: s.assign(N=-1.0), "column 'N' must hold positive"),
    ],
)
def test_bad_stages_are_named(spoil, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.average_parameters(spoil(_pruned()))
