"""The verdict on repeated data, from runs that the law made, and from runs that over-fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis import LAWS
from scalinglab.analysis.studies.repeat_data import judge
from scalinglab.scaling.errors import UserError

TRUE = {"E": 1.5, "A": 60.0, "alpha": 0.35, "B": 300.0, "beta": 0.4, "R_D": 8.0, "R_N": 5.0}


def made(rise=0.0, noise=1e-3, pools=(3e5, 1e6, 4e7)):
    """`rise` is how much each tenfold of epochs above 10 adds to the loss."""
    rng = np.random.default_rng(0)
    rows = [
        {"N": n, "D": d, "data.unique_tokens": u, "epochs": d / u, "seed": seed, "role": "sweep"}
        for n in (1e4, 4e4, 1.6e5, 6.4e5)
        for u in pools
        for d in (3e5, 1e6, 3e6, 1e7, 3e7)
        for seed in range(2)
    ]
    runs = pd.DataFrame(rows).assign(lr=0.01)
    law = LAWS["data_constrained"]
    columns = runs.assign(U=np.minimum(runs["data.unique_tokens"], runs["D"]))[["N", "D", "U"]]
    clean = law.predict(np.array([[TRUE[n] for n in law.names]]), law.read(columns))[0]
    over = 1 + rise * np.maximum(np.log10(runs["epochs"] / 10), 0)
    loss = clean * over * np.exp(rng.normal(0, noise, len(runs)))
    held_out = (runs["D"] == 3e7) & (runs["N"] == 6.4e5)
    return runs.assign(loss=loss, role=np.where(held_out, "held_out", "sweep"))


def test_it_finds_the_worth_of_repetitions_and_no_turn():
    finding = judge(made(), resamples=0)
    (found,) = finding.tables["Parameters"].set_index("parameter").loc[["R_D"], "value"]
    assert found == pytest.approx(TRUE["R_D"], rel=0.5)
    assert "The loss of no size and pool rises" in finding.sentences[1]
    assert "Error on 6 runs that were not fitted: data_constrained 0." in finding.sentences[2]


def test_a_loss_that_turns_is_told_with_its_epochs():
    finding = judge(made(rise=0.2), resamples=0)
    assert "sizes and pools over-fit: the first is N" in finding.sentences[1]
    table = finding.tables["Least loss of each size and pool"]
    turned = table[table["turned"] == "yes"]
    assert len(turned) and (turned["epochs_of_least_loss"] < turned["most_epochs"]).all()
    assert set(turned["pool"]) == {3e5, 1e6}


def test_a_rise_within_the_noise_is_not_resolved():
    table = judge(made(rise=0.03, noise=0.05), resamples=0).tables
    assert "yes" not in set(table["Least loss of each size and pool"]["turned"])


def test_runs_without_repetition_are_refused():
    with pytest.raises(UserError, match="no run repeats its pool"):
        judge(made(pools=(4e7,)))
