"""The verdict on sources, from losses that a law made: worths, ties and refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.sources import judge
from scalinglab.scaling.errors import UserError

POOLS = ("a", "b")
WORTH = {("a", "a"): 1.0, ("b", "a"): 0.5, ("a", "b"): 0.1, ("b", "b"): 1.0}  # (arm, set)


def made(worth=WORTH, noise=1e-3, lengths=(1e5, 2e5, 4e5)):
    """The loss on a set falls as (worth x D)^-0.1; learning rate 2 is the best."""
    rng = np.random.default_rng(0)
    rows = []
    for arm in POOLS:
        for N in (1e4, 4e4):
            for D in lengths:
                for lr in (1, 2, 4):
                    for seed in (0, 1):
                        losses = {
                            f"loss.{s}": 10
                            * N**-0.1
                            * (worth[arm, s] * D) ** -0.1
                            * np.exp(rng.normal(0, noise) + 0.05 * np.log(lr / 2) ** 2)
                            for s in POOLS
                        }
                        shares = {f"share.{p}": float(p == arm) for p in POOLS}
                        rows.append(
                            {"N": N, "D": D, "lr": lr, "seed": seed, "mixture": f"only {arm}"}
                            | losses
                            | shares
                        )
    return pd.DataFrame(rows)


def test_a_token_is_worth_what_the_law_says():
    finding = judge(made())
    worth = finding.tables["Beside the set's own source"].set_index(["set", "arm"])
    assert worth.loc[("a", "b"), "worth"] == pytest.approx(0.5, abs=0.05)
    assert worth.loc[("a", "b"), "worth_lower"] < 0.5 < worth.loc[("a", "b"), "worth_upper"]
    assert worth.loc[("a", "b"), "verdict"] == "higher loss"
    # Below the shortest run of the reference, a quarter of the longest, nothing is known.
    assert worth.loc[("b", "a"), "worth_is"] == "less than"
    assert worth.loc[("b", "a"), "worth"] == pytest.approx(0.25)
    power = finding.tables["Power of the tokens"].set_index(["set", "arm"])
    assert power["power"].to_numpy() == pytest.approx(np.full(4, 0.1), abs=0.01)
    assert finding.sentences[0].startswith("On a, beside a (whose loss falls as D^-0.1")
    assert not finding.warnings


def test_equal_sources_are_not_resolved_and_equal_sets_are_told_once():
    runs = made(dict.fromkeys(WORTH, 1.0))
    finding = judge(runs)
    assert set(finding.tables["Beside the set's own source"]["verdict"]) == {"not resolved"}
    same = judge(runs.assign(**{"loss.b": runs["loss.a"]}))
    assert len(same.sentences) == 1


def test_a_best_rate_at_the_end_of_its_grid_is_told():
    runs = made()
    finding = judge(runs[runs["lr"] != 1].assign(lr=lambda r: r["lr"]).query("lr >= 2"))
    assert not finding.warnings  # of two rates nothing can be told
    ends = pd.concat([runs[runs["lr"] >= 2], runs[runs["lr"] == 4].assign(lr=8)])
    assert "the end of its grid at 12 of 12" in judge(ends).warnings[0]


def test_a_rate_at_which_a_run_diverged_is_not_the_best_and_refuses_nothing():
    runs = made().assign(loss=1.0)
    lost = runs[runs["lr"] == 4].assign(lr=8)
    sets = ["loss.a", "loss.b"]
    lost[sets] *= 0.9
    lost.loc[lost["seed"] == 1, [*sets, "loss"]] = [np.nan, np.nan, np.inf]
    assert judge(pd.concat([runs, lost])).sentences == judge(runs).sentences


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[r["mixture"] == "only a"], "the runs have one mixture"),
        (lambda r: r[r["D"] == 1e5], "two lengths are needed"),
        (lambda r: r.drop(columns=["loss.a", "loss.b"]), "no validation set on which all runs"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        judge(change(made()))
    with pytest.raises(
        UserError, match="sets: not every run was validated on 'c'; there are: a, b"
    ):
        judge(made(), sets=["c"])
