import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_outliers_show_as_movement(made_by):
    runs, _ = made_by("chinchilla", noise=0.003)
    spoiled = runs.assign(loss=np.where(runs.index.isin([4, 17]), 1.3 * runs.loss, runs.loss))
    moves = {
        name: analysis.delta_sensitivity("chinchilla", table, resamples=200).loc["moves"]
        for name, table in {"clean": runs, "spoiled": spoiled}.items()
    }
    assert moves["clean"].max() < 2
    assert moves["spoiled"].max() > 4


def test_the_table_holds_each_fit_and_its_predictions(made_by):
    runs, _ = made_by("chinchilla", noise=0.003)
    at = pd.DataFrame({"N": [1e10], "D": [1e11]}, index=["target"])
    deltas = (1e-3, 1e-2)
    table = analysis.delta_sensitivity("chinchilla", runs, at=at, deltas=deltas, resamples=50)
    assert table.index.tolist() == [1e-3, 1e-2, np.inf, "moves"]
    alone = analysis.fit("chinchilla", runs, delta=1e-2, resamples=0)
    assert table.loc[1e-2, "alpha"] == alone.params["alpha"]
    assert table.loc[1e-2, "at target"] == alone.predict(at).loss["target"]
    least = analysis.fit("chinchilla", runs, objective="least_squares", resamples=0)
    assert table.loc[np.inf, "E"] == least.params["E"]
    assert table.loc["moves", "at target"] > 0
    bare = analysis.delta_sensitivity("chinchilla", runs, deltas=deltas, resamples=0)
    assert bare.index.tolist() == [1e-3, 1e-2, np.inf]


def test_delta_itself_is_refused(made_by):
    with pytest.raises(ValueError, match="give the values as deltas="):
        analysis.delta_sensitivity("chinchilla", made_by("chinchilla")[0], delta=1e-3)
