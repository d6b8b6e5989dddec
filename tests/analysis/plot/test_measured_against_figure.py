"""Measured runs against a setting: each a point that names its run, means with their interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from scalinglab.analysis import plot
from scalinglab.analysis.plot.files import data
from scalinglab.analysis.plot.layers import PLACE, layers
from scalinglab.analysis.plot.style import panels
from scalinglab.scaling.errors import UserError


def runs(noise: float = 0.01, seeds: int = 4) -> pd.DataFrame:
    """Two arms at three numbers of tokens."""
    rng = np.random.default_rng(0)
    rows = [
        {"arm": arm, "D": D, "seed": seed, "loss": factor * D**-0.1 * np.exp(rng.normal(0, noise))}
        for arm, factor in (("a", 3.0), ("b", 2.9))
        for D in (1e6, 4e6, 16e6)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).assign(run_id=[f"r{k}" for k in range(len(rows))])


def drawn(*args, **options) -> Axes:
    (ax,) = panels(plot.PAGE)
    return plot.measured_against(*args, ax=ax, **options)


def test_the_interval_of_means_is_by_the_scatter_of_all_places() -> None:
    ax = drawn(runs(), "D", by="arm")
    means = [layer for layer in layers(ax) if layer.kind == "line"]
    assert [layer.name for layer in means] == ["mean, a", "mean, b"]
    for layer in means:
        assert layer.ends is not None
        half = np.log(layer.ends[1] / layer.values[1])
        assert half == pytest.approx(1.96 * 0.01 / 2, rel=0.4) and np.ptp(half) < 1e-9
    lone = drawn(runs(seeds=1), "D", by="arm")
    assert all(layer.ends is None for layer in layers(lone))


def test_every_run_is_a_point_that_names_it_in_the_look_of_its_group() -> None:
    ax = drawn(runs(), "D", by="arm")
    shown = [layer for layer in layers(ax) if layer.kind == "points"]
    assert sorted(name for layer in shown for name in layer.table["run_id"]) == sorted(
        runs()["run_id"]
    )
    looks = {layer.artists[0].get_facecolor().tobytes() for layer in shown}
    assert len(looks) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "95% interval"]


def test_names_along_x_are_ticks_and_groups_stand_side_by_side() -> None:
    table = pd.DataFrame(
        {"schedule": ["wsd", "cosine"] * 2, "of": ["law"] * 2 + ["run"] * 2, "final": [2, 3, 2, 3]}
    ).assign(final_lower=1.9, final_upper=3.1)
    ax = drawn(table, "schedule", "final", by="of", joined=False)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["wsd", "cosine"]
    law, run = layers(ax)
    assert law.kind == run.kind == "points" and law.aside < run.aside
    # On the page side by side; in the figure's data at the names of the table.
    places = [one.artists[0].get_offset_transform().transform((1, 2)) for one in (law, run)]
    assert places[0][0] < places[1][0] and places[0][1] == places[1][1]
    written = data(ax)
    assert written["schedule"].tolist() == ["wsd", "cosine"] * 2 and PLACE not in written


def test_many_numbers_have_a_colour_bar_and_no_legend_of_their_own() -> None:
    table = pd.concat([runs(seeds=1).assign(N=10.0**k) for k in range(3, 11)])
    ax = drawn(table, "D", by="N")
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["95% interval"] and len(ax.figure.axes) == 2


def test_without_a_finite_value_nothing_is_drawn() -> None:
    with pytest.raises(UserError, match="no run has a finite loss"):
        drawn(runs().assign(loss=np.inf), "D")
