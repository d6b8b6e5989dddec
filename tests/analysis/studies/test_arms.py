"""Arms held beside baselines at equal counts: known effects are found, others are not resolved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.studies.arms import judge
from scalinglab.scaling.errors import UserError


def made(gain: float, noise: float = 0.001, seeds: int = 3) -> pd.DataFrame:
    """A dense law in N, and experts that have `gain` of its loss at equal active parameters."""
    rng = np.random.default_rng(0)
    rows = []
    for arm, sizes, more in (("dense", (1, 2, 4, 8, 16), 1), ("experts", (1, 2, 4), 3)):
        for size in sizes:
            n = 1e5 * size * (1 if arm == "dense" else 1.01)  # a router's weights
            for lr in (0.01, 0.02, 0.04):
                for seed in range(seeds):
                    loss = 10 * n**-0.1 * (1 + 0.02 * np.log2(lr / 0.02) ** 2)
                    loss *= (1 - gain * (arm == "experts")) * np.exp(rng.normal(0, noise))
                    rows.append(
                        {"block": arm, "N": n * more, "n_active": n, "n_total": n * more}
                        | {"D": 1e6, "lr": lr, "seed": seed, "loss": loss}
                        | {"experts": 1 if arm == "dense" else 4}
                    )
    return pd.DataFrame(rows)


def test_a_known_effect_is_found_under_each_count() -> None:
    found = judge(made(0.05), baselines=["dense"]).tables["Effects"].set_index("equal")
    active, total = found.loc["n_active"], found.loc["n_total"]
    assert (active["sizes"], active["verdict"]) == (3, "lower loss")
    # The gain, and that of the router's weights, which count as active ones.
    assert active["effect_lower"] < -0.05 < active["effect_upper"]
    # At three times the parameters the dense law falls by 3^-0.1 = 10 %: more than experts do.
    assert total["verdict"] == "higher loss"
    assert total["effect"] == pytest.approx(0.95 * 3**0.1 - 1, abs=0.003)
    assert active["worth"] == pytest.approx(0.95**-10, rel=0.05)


def test_what_the_design_does_not_detect_is_not_resolved() -> None:
    finding = judge(made(0.003), baselines=["dense"])
    row = finding.tables["Effects"].iloc[0]
    assert row["least"] > 0.003 and row["verdict"] == "not resolved"
    assert "at equal n_active (equal FLOPs): not resolved (the least" in finding.sentences[0]
    alone = judge(made(0.05, seeds=1), baselines=["dense"]).tables["Effects"]
    assert (alone["verdict"] == "not resolved").all()


def test_beyond_the_baselines_sizes_nothing_is_said() -> None:
    runs = made(0.05)
    small = runs[(runs["block"] == "experts") | (runs["n_active"] < 3e5)]
    found = judge(small, baselines=["dense"]).tables["Effects"].set_index("equal")
    assert found.loc["n_active", "sizes"] == 2
    far = runs.assign(n_total=runs["n_total"] * np.where(runs["block"] == "experts", 100, 1))
    found = judge(far, baselines=["dense"]).tables["Effects"]
    assert list(found["equal"]) == ["n_active"]
    longer = runs.assign(D=2e6, loss=runs["loss"].where(runs["block"] == "experts", np.inf))
    finding = judge(pd.concat([runs, longer]), baselines=["dense"])  # no baseline so long ended
    assert "nothing said" in finding.sentences[0]


def test_the_law_is_fitted_where_there_are_points_enough() -> None:
    runs = made(0.05, noise=0.0)
    more = made(0.08, noise=0.0)
    more = more[more["block"] == "experts"].assign(block="more", experts=16)
    finding = judge(pd.concat([runs, more]), baselines=["dense"], law="routed")
    (title,) = (t for t in finding.tables if t.startswith("The law routed"))
    fitted = finding.tables[title].set_index("parameter")["value"]
    assert fitted["a"] == pytest.approx(-0.1, abs=0.02)
    renamed = pd.concat([runs, more]).rename(columns={"experts": "an.axis"})
    named = judge(renamed, baselines=["dense"], law="routed", columns={"experts": "an.axis"})
    pd.testing.assert_frame_equal(named.tables[title], finding.tables[title])
    finding = judge(runs[runs["n_active"] < 1.5e5], baselines=["dense"], law="routed")
    assert "the law routed is not fitted: 2 points for 6 parameters" in finding.warnings[0]


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match="'dnse' has no run; there are dense, experts"):
        judge(made(0.05), baselines=["dnse"])
    with pytest.raises(UserError, match="arms are wanted beside them"):
        judge(made(0.05), baselines=["dense", "experts"])
