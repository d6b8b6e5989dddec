"""The best vocabulary of runs that the law made is found, and is said to be unresolved where it is."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.intervals.power import Design
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
    table = finding.tables["Best vocabularies by the law"]
    assert list(table["width"]) == [64, 128, 256]
    for row in table.itertuples():
        assert (
            row.lower <= best_of(row.width, row.C) * 1.03
            and best_of(row.width, row.C) <= row.upper * 1.03
        )
    assert (np.diff(table["best"]) > 0).all()  # larger models want larger vocabularies
    by_law = finding.sentences[1:]
    assert len(by_law) == 3
    assert all("the best vocabulary is" in s and "not resolved" not in s for s in by_law)


def test_an_optimum_outside_of_what_was_measured_is_not_resolved():
    finding = judge(made((256, 300, 360), noise=0.002), resamples=60)
    assert all("not resolved" in sentence for sentence in finding.sentences)


def test_vocabularies_compare_at_equal_flops_by_bits_per_byte():
    """Of the same tokens the largest is always best; of the same FLOPs the middle one is here."""
    runs = made((512, 2048, 8192), noise=0.002)
    away = np.abs(np.log2(runs["vocab"] / 2048))
    C = 6 * (runs["n_block"] + runs["N_vocab"]) * runs["D"]
    noise = 0.001 * np.random.default_rng(1).standard_normal(len(runs))
    runs["bpb"] = 9 * np.exp(0.05 * away - 0.05 * np.log(C) + noise)
    finding = judge(runs, resamples=0, design=Design("vocab", 3, 3, 2, (1, 1), 0.002))
    assert "the vocabulary of 2,048 has the fewest bits per byte" in finding.sentences[0]
    assert "512 higher loss, +10." in finding.sentences[0]
    table = finding.tables["At equal FLOPs"].set_index("vocab")
    assert table.loc[[512, 8192], "effect"].to_numpy() == pytest.approx(np.expm1(0.1), abs=0.003)
    assert list(table["verdict"]) == ["higher loss", "", "higher loss"]
    assert "what is resolved holds for all 2 effects together" in finding.sentences[1]
    rough = judge(runs, resamples=0, design=Design("vocab", 3, 3, 2, (1, 1), 0.1))
    assert "512 not resolved (the least that is detected: 24" in rough.sentences[0]
    rising = judge(runs.assign(bpb=runs["vocab"] ** 0.1), resamples=0)
    assert "the vocabulary of 512, the smallest that was tried, has" in rising.sentences[0]
    longer = runs[(runs["vocab"] < 8192) | (runs["D"] > 1e7)]
    assert "nothing compares at equal FLOPs" in judge(longer, resamples=0).sentences[0]


def test_runs_that_cannot_tell_are_refused():
    with pytest.raises(
        UserError, match="some runs have no unigram_loss; it comes from stores of doc"
    ):
        judge(made((256, 512, 1024)).drop(columns="unigram_loss"))
    with pytest.raises(UserError, match="there are 2 vocabularies; its law needs 3 or more"):
        judge(made((256, 512)))
