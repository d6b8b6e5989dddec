"""The table of a coordinate check."""

from __future__ import annotations

import pandas as pd

from scalinglab.analysis.reporting.coordinate_check import draw_coordinate_check, growth

MOVEMENT = pd.DataFrame(
    [
        {
            "parametrization": name,
            "axis": axis,
            "width": width,
            "depth": depth,
            "hidden": 0.5 * width**power,
            "logits": 1.0,
            "tensors": {"embedding.weight": 0.1, "norm.gain": width**-power, "head.weight": 0.0},
        }
        for name, power in (("sp", 1.0), ("mup", 0.0))
        for axis, width, depth in (
            ("width", 64, 2),
            ("width", 512, 2),
            ("depth", 64, 2),
            ("depth", 64, 8),
        )
    ]
)


def test_growth_is_the_last_size_over_the_first():
    table = growth(MOVEMENT.sample(frac=1, random_state=0)).set_index(["parametrization", "axis"])
    assert table["growth"].to_dict() == {
        ("sp", "width"): 8.0,
        ("sp", "depth"): 1.0,
        ("mup", "width"): 1.0,
        ("mup", "depth"): 1.0,
    }
    assert table.loc[("sp", "width"), "sizes"] == "64  512"


def test_the_tensor_whose_movement_changes_most_is_named_against_width():
    table = growth(MOVEMENT).set_index(["parametrization", "axis"])["tensor"]
    assert table["sp", "width"] == "norm.gain 0.12"
    assert table["sp", "depth"] == ""


def test_the_picture_has_an_axis_for_each_and_a_line_a_parametrization():
    figure = draw_coordinate_check(MOVEMENT)
    assert [ax.get_xlabel() for ax in figure.axes] == ["width", "depth"]
    assert all(len(ax.lines) == 2 for ax in figure.axes)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [32.0, 256.0]
