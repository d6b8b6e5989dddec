"""Pairs of two arms: runs of one size, also where a router sets sizes apart by a few per cent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.arms.pairs import matched_sizes, pair_label, pair_runs
from scalinglab.analysis.arms.settings import _meant


def made(sizes: dict[str, list[float]], gain: float = 0.9) -> pd.DataFrame:
    rows = [
        {"_arm": arm, "N": n, "D": 1e6, "seed": seed}
        | {"loss": (3 - k * 0.1) * (gain if arm == "experts" else 1) + 0.001 * seed}
        for arm, own in sizes.items()
        for k, n in enumerate(own)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_sizes_with_a_routers_weights_are_paired_and_the_gap_is_said() -> None:
    runs = made({"dense": [100, 200, 400], "experts": [103, 204, 500]})
    pairs = pair_runs(runs, ["dense", "experts"], 0.95)
    assert sorted(pairs.table["N"].unique()) == [100, 200]
    assert pairs.ratio == pytest.approx(0.9, abs=1e-3)
    assert pairs.apart == pytest.approx(0.03)
    labels = pair_label(runs)
    assert (
        labels[(runs["_arm"] == "dense") & (runs["N"] == 100)]
        .isin(labels[(runs["_arm"] == "experts") & (runs["N"] == 103)])
        .all()
    )


@pytest.mark.parametrize(
    "sizes",
    [
        {"dense": [100, 103], "experts": [100, 103]},  # near sizes of one ladder stay apart
        {"dense": [100, 200], "experts": [110, 220]},  # too far
        {"dense": [100]},
    ],
)
def test_other_sizes_stay_as_they_are(sizes: dict[str, list[float]]) -> None:
    runs = made(sizes)
    assert np.array_equal(matched_sizes(runs)["N"], runs["N"])


def test_equal_sizes_have_no_gap() -> None:
    pairs = pair_runs(
        made({"dense": [100, 200], "experts": [100, 200]}), ["dense", "experts"], 0.95
    )
    assert pairs.apart == 0 and len(pairs.table) == 4


def test_a_column_stands_for_the_part_that_has_such_a_key() -> None:
    differing = [
        "model.feed_forward.experts",
        "model.feed_forward.name",
        "model.feed_forward.top_k",
    ]
    assert _meant("experts", differing) == "model.feed_forward.name"
    assert _meant("experts", differing[:1]) == "model.feed_forward.experts"
    assert _meant("model.loops", differing) == "model.loops"
    assert _meant("study", differing) == "study"
