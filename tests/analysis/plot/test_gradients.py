"""Colour bars in an SVG: gradients, text like the rest of the figure."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.plot.files import svg
from scalinglab.analysis.plot.style import axes, colour_map


def runs() -> pd.DataFrame:
    N = np.array([1e6, 1e7, 1e8])
    return pd.DataFrame({"N": N, "D": 20 * N, "loss": [4.0, 3.5, 3.0]})


def test_a_colour_bar_is_a_gradient() -> None:
    text = svg(plot.runs(runs()), salt="a b")
    assert "base64" not in text and text.count("<linearGradient") == 1
    assert 'id="a-b-gradient-1"' in text and 'fill="url(#a-b-gradient-1)"' in text
    stops = re.findall(r'stop-color="#(..)(..)(..)"', text)
    ends = np.array([[int(part, 16) for part in stops[k]] for k in (0, -1)]) / 255
    expected = np.array([colour_map()(0.0), colour_map()(1.0)])[:, :3]
    assert np.abs(ends - expected).max() < 0.03  # from the least: the rectangle is upside down
    assert re.search(r'<rect transform="scale\(1 -1\)', text)


def test_other_pictures_stay() -> None:
    ax = axes()
    ax.imshow(np.arange(12.0).reshape(3, 4))
    text = svg(ax)
    assert "data:image/png;base64" in text and "<linearGradient" not in text
