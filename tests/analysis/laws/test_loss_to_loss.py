"""Models of one size and budget trained on different corpora (arXiv:2411.12925)."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS

TOP = 4e19  # FLOPs: the largest budget is held out


@pytest.fixture(scope="module")
def corpora(public_data) -> dict[str, pd.DataFrame]:
    """Runs on each corpus with the loss on its own held-out part."""
    table = pd.read_csv(public_data / "loss_to_loss" / "sweep.csv")
    table = table.rename(columns={"params": "N", "tokens": "D", "iso_flop": "C"})
    own = {"fineweb-100b": "fineweb_100b", "slimpajama-chunk1": "slimpajama"}
    return {
        name: table[table.data == data]
        .assign(loss=table[f"eval/{name}_val/CrossEntropyLoss"])
        .dropna(subset=["loss"])
        for data, name in own.items()
    }


def _irreducible(runs: pd.DataFrame) -> float:
    return analysis.fit("chinchilla", runs[runs.C < TOP], resamples=0).params["E"]


@pytest.mark.parametrize(
    ("a", "b"), [("fineweb_100b", "slimpajama"), ("slimpajama", "fineweb_100b")]
)
def test_the_largest_budget_is_predicted_to_a_thousandth(corpora, a, b):
    known = corpora[a].rename(columns={"loss": "loss_a"})[["N", "C", "loss_a"]]
    pairs = known.merge(corpora[b][["N", "C", "loss"]], on=["N", "C"])
    floors = {"E_a": _irreducible(corpora[a]), "E_b": _irreducible(corpora[b])}
    small, top = pairs[pairs.C < TOP], pairs[pairs.C >= TOP]
    result = analysis.fit("loss_to_loss", small, fixed=floors, resamples=0)
    error = result.predict(top).loss / top.loss - 1
    assert len(top) == 11
    assert np.abs(error).mean() < 0.0012
    assert 0.2 < (error > 0).mean() < 0.8


def test_at_the_floor_of_one_it_gives_the_floor_of_the_other():
    params = np.array([[1.1, 1.7, 0.9, 2.0]])
    loss = LAWS["loss_to_loss"].predict(params, {"loss_a": np.array([1.2, 1.7, 2.7])})
    np.testing.assert_allclose(loss, [[2.0, 2.0, 3.1]])
