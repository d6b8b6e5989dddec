"""The verdict on mixtures, from runs that a law made: its shares, its test, its refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.mixture import judge
from scalinglab.scaling.errors import UserError

SWARM = [(1, 0), (0.8, 0.2), (0.6, 0.4), (0.4, 0.6), (0.2, 0.8), (0, 1), (0.9, 0.1)]
CANDIDATES = [(0.7, 0.3), (0.5, 0.5), (0.1, 0.9)]


def made(noise=2e-4, sizes=(1e4, 4e4)):
    """Two pools; a token of the other pool is worth a quarter for each validation set."""
    rng = np.random.default_rng(0)
    rows = []
    for size in sizes:
        for a, b in [*SWARM, *CANDIDATES]:
            for seed in range(2):
                losses = [
                    (1.0 + 30 / size**0.3 / (own + 0.25 * other) ** 0.4)
                    * np.exp(rng.normal(0, noise))
                    for own, other in ((a, b), (b, a))
                ]
                rows.append(
                    {
                        "N": size,
                        "D": 1e6,
                        "seed": seed,
                        "role": "held_out" if (a, b) in CANDIDATES else "sweep",
                        "mixture": f"a {a:g}, b {b:g}",
                        "share.a": a,
                        "share.b": b,
                        "unique_tokens.a": 5e5,
                        "unique_tokens.b": 5e4,
                        "loss.a": losses[0],
                        "loss.b": losses[1],
                        "lr": 0.01,
                        "loss": np.mean(losses),
                    }
                )
    return pd.DataFrame(rows)


def test_the_best_shares_and_the_test_on_mixtures_that_were_not_fitted():
    finding = judge(made(), resamples=20)
    shares = finding.tables["Best shares"].set_index("pool")["share"]
    assert shares["a"] == pytest.approx(0.5, abs=0.03)
    assert "Error on 3 mixtures that were not fitted: a 0." in finding.sentences[1]
    assert finding.sentences[2].startswith(
        "Of 3 mixtures that were not fitted the law chooses a 0.5, b 0.5: the best of them"
    )
    assert "the law of the smallest runs (N 10,000) chooses a 0.5, b 0.5" in finding.sentences[3]
    arms = finding.tables["Mixtures and sets"]
    assert arms.columns.tolist() == ["mixture", "a", "b", "mean", "held_out"]
    assert len(arms) == 10 and arms["mean"].is_monotonic_increasing


def test_a_cap_of_epochs_holds_a_scarce_pool_down():
    finding = judge(made(), resamples=0, epochs=4)
    shares = finding.tables["Best shares"].set_index("pool")
    assert shares.loc["b", "share"] == pytest.approx(0.2) == shares.loc["b", "cap"]
    assert "each token at most 4 times" in finding.sentences[0]


def test_one_target_is_its_own_pool():
    finding = judge(made(), resamples=0, targets=["a"])
    assert finding.tables["Best shares"].set_index("pool").loc["a", "share"] > 0.97


def test_candidates_within_the_noise_are_not_resolved():
    runs = made(noise=0.05, sizes=(4e4,))
    told = judge(runs, resamples=0).sentences[2]
    assert "the best of them as measured" in told or "is not resolved" in told


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        (lambda t: t.drop(columns=["share.a", "share.b"]), {}, "do not draw from several pools"),
        (lambda t: t, {"targets": ["c"]}, r"not every run was validated on 'c'; there are a, b"),
        (lambda t: t[t["share.a"].isin([1, 0])], {}, r"2 mixtures of 2 pools were trained"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, keys, message):
    with pytest.raises(UserError, match=message):
        judge(change(made()), **keys)
