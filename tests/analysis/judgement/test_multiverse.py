import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis import plot
from scalinglab.analysis.judgement.multiverse import SHARES, shares
from scalinglab.analysis.judgement.study_multiverse import table_multiverse
from scalinglab.analysis.plot.layers import layers
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import short

mpl.use("Agg")


def runs(count: int = 5) -> pd.DataFrame:
    sizes, tokens = np.geomspace(1e7, 1e9, count), np.geomspace(1e9, 1e11, count)
    N, D = (g.ravel() for g in np.meshgrid(sizes, tokens))
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(N)))
    return pd.DataFrame({"N": N, "D": D, "loss": (1.7 + 400 / N**0.34 + 1800 / D**0.37) * noise})


def factorial(answer) -> pd.DataFrame:
    """A table of 2 x 3 x 2 x 2 combinations with a made answer."""
    rows = [
        {"convention": c, "law": w, "objective": o, "exclusion": e, "answer": answer(c, w, o, e)}
        for c in (0, 1)
        for w in (0, 1, 2)
        for o in (0, 1)
        for e in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_a_sum_of_effects_is_shared_out_exactly():
    found = shares(factorial(lambda c, w, o, e: np.exp(2 * c + w + 0 * o + 0.5 * e)))
    variances = {"convention": 1.0, "law": 2 / 3, "exclusion": 0.0625, "objective": 0.0}
    total = sum(variances.values())
    assert found.choice.tolist() == list(variances)
    for row in found.itertuples():
        assert row.main_effect == pytest.approx(variances[row.choice] / total)
        assert row.total_effect == pytest.approx(row.main_effect)
    assert found.factor[0] == pytest.approx(np.exp(2)) and found.options[1] == 3


def test_choices_that_act_only_together_have_no_part_of_their_own():
    found = shares(factorial(lambda c, w, o, e: np.exp(1.0 if c == o else -1.0)))
    together = found.set_index("choice")
    assert together.loc[["convention", "objective"], "total_effect"].tolist() == pytest.approx(
        [1, 1]
    )
    assert together["main_effect"].tolist() == pytest.approx([0] * 4)
    assert together.loc["law", "total_effect"] == pytest.approx(0)


def test_each_way_is_that_fit():
    table = runs()
    found = table_multiverse({"a": table}, analysis.read_target("N at C=1e20"), starts=8)
    assert len(found.table) == 2 * 3 * 3 and found.table.answer.notna().all()
    low, high = found.range
    assert low < high and f"{short(low)} to {short(high)}" in found.sentence()
    single = found.table.set_index(["law", "objective", "exclusion"]).answer
    alone = analysis.fit("chinchilla", table, resamples=0, starts=8)
    assert single["chinchilla", "Huber 1e-3", "all runs"] == pytest.approx(
        analysis.allocate(alone, 1e20).table.N[0], rel=1e-4
    )
    few = analysis.fit("chinchilla", table[table.N > table.N.min() * 1.01], resamples=0, starts=8)
    assert single["chinchilla", "Huber 1e-3", "without the smallest size"] == pytest.approx(
        analysis.allocate(few, 1e20).table.N[0], rel=1e-3
    )


def test_a_way_without_an_answer_says_why_and_the_others_stand():
    choices = analysis.Choices({"good": runs(), "bad": runs().drop(columns="loss")})
    found = analysis.fit_multiverse(choices, lambda r: r.params["alpha"], "alpha", starts=8)
    assert found.table.groupby("convention").answer.count().to_dict() == {"good": 3, "bad": 0}
    assert found.table.why[found.table.convention == "bad"].str.contains("loss").all()
    with pytest.raises(ValueError, match="no analysis variant gives alpha: .*loss"):
        analysis.fit_multiverse(
            analysis.Choices({"bad": runs().drop(columns="loss")}),
            lambda r: r.params["alpha"],
            "alpha",
        )


def test_a_run_far_from_the_law_does_not_make_the_range():
    table = runs(4)
    table["run"] = [f"exp-{k}" for k in range(len(table))]
    table.loc[9, "loss"] = 9.8
    found = table_multiverse({"a": table}, analysis.read_target("N at C=1e20"), starts=4)
    clean = table_multiverse(
        {"a": table.drop(index=9)}, analysis.read_target("N at C=1e20"), starts=4
    )
    assert found.range == pytest.approx(clean.range, rel=1e-3) and not clean.far_runs
    said = found.sentence()
    assert "analysis variants without run exp-9 (far from the law) N at" in said
    assert re.search("With run exp-9 .*least squares gives ", said)
    assert found.shares["factor"].max() < 1.5 < found.table["answer"].max() / found.range[0]
    assert "exp-9" not in clean.sentence()


def test_another_count_of_parameters_is_another_definition_and_no_uncertainty():
    table = runs(4)
    counts = {"n_block": table.assign(N=table["N"] / 3), "n_matmul": table}
    found = table_multiverse(counts, analysis.read_target("N at C=1e20"), starts=4)
    alone = table_multiverse({"n_matmul": table}, analysis.read_target("N at C=1e20"), starts=4)
    assert found.range == pytest.approx(alone.range, rel=1e-3)
    assert "convention" not in found.sentence() and len(found.sentences()) == 2
    assert "Counted as n_block (without embeddings) the range is " in found.sentences()[1]
    # The sentence, the table and the figure are of the same variants.
    pd.testing.assert_frame_equal(found.shares, alone.shares)
    assert f"Across {len(found.in_range)} analysis variants" in found.sentence()
    assert f"({found.shares['total_effect'][0]:.0%} of the variance, alone or" in found.sentence()
    words = found.shares_in_words().set_index("choice")
    assert words.loc["objective", "options"] == "Huber 1e-3, Huber 1e-2, least squares"
    written = with_intervals(found.shares_in_words())
    assert list(written)[2:] == list(SHARES.values())
    assert written["total effect"][0] == f"{found.shares['total_effect'][0]:.0%}"
    assert written[SHARES["factor"]][0] == f"{found.shares['factor'][0]:.2f}"
    assert len(alone.sentences()) == 1
    ax = plot.multiverse(found)
    assert sum(len(layer.table) for layer in layers(ax)) == len(found.in_range) == 6
