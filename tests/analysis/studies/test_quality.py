"""The verdict on pools of quality, from runs that the law made."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.decisions.best_filter import nested_pools
from scalinglab.analysis.laws.quality_pools import quality_pools_law
from scalinglab.analysis.studies.quality import judge
from scalinglab.scaling.errors import UserError

SIZES = {"strict": 1e5, "lax": 4e5, "all": 2e6}
UTILITIES = {"utility.strict": 0.17, "utility.lax": 0.16, "utility.all": 0.155}


def made(noise=5e-4, tau=0.8, utilities=UTILITIES, lengths=(3e4, 1e5, 3e5, 1e6, 3e6)):
    law, pools = quality_pools_law([*SIZES]), nested_pools(SIZES)
    values = {"d": 1.0, "a": 8.0, "tau": tau} | utilities
    rng = np.random.default_rng(0)
    rows = []
    for D in lengths:
        clean = law.predict(
            np.array([[values[name] for name in law.names]]), law.read(pools.assign(D=D))
        )[0]
        for name, loss in zip(SIZES, clean, strict=True):
            for N, lr, seed in np.array(np.meshgrid([1e4, 2e4], [1, 2, 3], [0, 1])).T.reshape(
                -1, 3
            ):
                worse = 1 + 0.02 * (lr - 2) ** 2
                rows.append(
                    {"N": N, "D": D, "lr": lr, "seed": seed, "block": name}
                    | {"unique_tokens": SIZES[name], "loss": loss * worse}
                )
    runs = pd.DataFrame(rows)
    return runs.assign(loss=runs["loss"] * np.exp(rng.normal(0, noise, len(runs))))


def test_pools_that_change_places_are_told():
    finding = judge(made(), resamples=10)
    assert finding.sentences[0].startswith("Yes, the best pool depends on compute: strict is")
    cells = finding.tables["Best pool of each size and length"].set_index(["N", "D"])
    assert cells.loc[(1e4, 3e4), "best"] == "strict" and cells.loc[(1e4, 3e6), "best"] == "all"
    assert any("the loss of strict rises by" in s for s in finding.sentences)
    (tested,) = (s for s in finding.sentences if s.startswith("The law of the shorter runs"))
    assert "chooses all for 3,000,000 tokens: the best as measured" in tested
    assert not any("end of its grid" in w for w in finding.warnings)


@pytest.mark.usefixtures("early_fits")
def test_one_pool_that_is_best_everywhere_is_a_no():
    better = {"utility.strict": 0.2, "utility.lax": 0.12, "utility.all": 0.1}
    finding = judge(made(utilities=better, tau=1e3), resamples=0)
    assert finding.sentences[0] == "No: strict is the best pool at all 10 sizes and lengths."


@pytest.mark.usefixtures("early_fits")
def test_differences_within_the_noise_are_not_resolved():
    same = dict.fromkeys(UTILITIES, 0.12)
    finding = judge(made(noise=0.02, utilities=same, tau=1e4), resamples=0)
    assert finding.sentences[0].startswith("Not resolved: the lowest loss has ")
    assert set(finding.tables["Best pool of each size and length"]["verdict"]) == {"not resolved"}


@pytest.mark.usefixtures("early_fits")
def test_runs_that_never_repeat_say_nothing_of_longer_ones():
    finding = judge(made(lengths=(1e4, 2e4, 4e4, 8e4)), resamples=0)
    assert any("the law says nothing" in s for s in finding.sentences)
    (table,) = (t for name, t in finding.tables.items() if name.startswith("Pools by the law"))
    assert table["D"].unique().tolist() == [8e4]


@pytest.mark.usefixtures("early_fits")
def test_pools_of_two_scores_have_no_common_law():
    chosen = {"strict": "a", "lax": "b"}
    runs = made()
    runs = runs.assign(
        **{
            "data.select.by": runs["block"].map(chosen),
            "data.select.keep": runs["block"].map(dict.fromkeys(chosen, "top")),
            "data.select.skip": runs["block"].map(dict.fromkeys(chosen, 0.0)),
            "data.select.where": runs["block"].map(dict.fromkeys(chosen, "")),
            "data.select.seed": runs["block"].map(dict.fromkeys(chosen, 0)),
        }
    )
    finding = judge(runs, resamples=0)
    assert any("do not contain each other" in w for w in finding.warnings)
    assert finding.sentences[0].startswith("Yes")


def test_one_pool_compares_with_nothing():
    runs = made()
    with pytest.raises(UserError, match="block tells no two pools apart"):
        judge(runs[runs["block"] == "all"])
