"""The best vocabulary of runs that the law made is found, and is said to be unresolved where it is."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.laws.registry import LAWS
from scalinglab.analysis.studies.vocabulary import judge
from scalinglab.scaling.errors import UserError

TRUE = {"E": 5.0, "A1": 30.0, "alpha1": 0.3, "A2": 15.0, "alpha2": 0.25, "B": 300.0, "beta": 0.35}


def made(vocabularies, noise=0.0):
    rows = [
        {"width": w, "vocab": v, "D": D, "seed": s, "lr": 0.01}
        for w in (64, 128, 256)
        for v in vocabularies
        for D in (2e6, 8e6, 3.2e7)
        for s in (0, 1)
    ]
    runs = pd.DataFrame(rows).astype({"D": float})
    runs["n_block"] = 48 * runs["width"] ** 2
    runs["N_vocab"] = (runs["vocab"] * runs["width"]).astype(float)
    runs["C"] = 6 * (runs["n_block"] + runs["N_vocab"]) * runs["D"]
    law = LAWS["vocabulary"]
    frame = runs.assign(N=runs["n_block"])
    loss = law.predict(np.array([[TRUE[n] for n in law.names]]), law.read(frame))[0]
    rng = np.random.default_rng(0)
    runs["unigram_loss"] = loss + noise * rng.standard_normal(len(runs))
    return runs.assign(loss=3.0, bpb=1.0, run_id=[f"r{i}" for i in range(len(runs))])


def best_of(width, C):
    grid = np.geomspace(256, 65_536, 20_000)
    N, N_vocab = 48 * width**2, grid * width
    D = C / (6 * (N + N_vocab))
    u = TRUE["A1"] / N ** TRUE["alpha1"] + TRUE["A2"] / N_vocab ** TRUE["alpha2"]
    return grid[np.argmin(u + TRUE["B"] / D ** TRUE["beta"])]


def test_the_best_vocabulary_is_that_of_the_law():
    runs = made((512, 2048, 8192, 32_768), noise=0.002)
    # A worse learning rate of every run changes nothing.
    worse = runs.assign(
        lr=0.1, unigram_loss=runs["unigram_loss"] + 0.5, run_id="w" + runs["run_id"]
    )
    finding = judge(pd.concat([runs, worse]), resamples=60)
    table = finding.tables["Best vocabularies"]
    assert list(table["width"]) == [64, 128, 256]
    for row in table.itertuples():
        assert (
            row.lower <= best_of(row.width, row.C) * 1.03
            and best_of(row.width, row.C) <= row.upper * 1.03
        )
    assert (np.diff(table["best"]) > 0).all()  # larger models want larger vocabularies
    assert all("the best vocabulary is" in s and "not resolved" not in s for s in finding.sentences)


def test_an_optimum_outside_of_what_was_measured_is_not_resolved():
    finding = judge(made((256, 300, 360), noise=0.002), resamples=60)
    assert all("not resolved" in sentence for sentence in finding.sentences)


def test_runs_that_cannot_tell_are_refused():
    with pytest.raises(
        UserError, match="some runs have no unigram_loss; it comes from stores of doc"
    ):
        judge(made((256, 512, 1024)).drop(columns="unigram_loss"))
    with pytest.raises(UserError, match="there are 2 vocabularies; its law needs 3 or more"):
        judge(made((256, 512)))
