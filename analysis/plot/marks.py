"""The marks of figures: one look per meaning, listed here, so that no two figures differ.

Compared recipes and other categories have the colours and markers of `style.category`; none of
their markers is used below. A line of a law is solid where the law was measured, and dashed where
it is extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.analysis.plot.style import INK

Look = Mapping[str, Any]

HELD_OUT: Look = {"color": INK, "marker": "*", "size": 1.9}
# Thin, so that runs and minima below them are seen.
BUDGET: Look = {"color": "#B0186C", "marker": "x", "size": 1.2}
MINIMUM: Look = {"color": INK, "marker": "d", "size": 1.0}
ENVELOPE: Look = {"color": "#009E73", "marker": "P", "size": 1.3}
FORECAST: Look = {"color": INK, "marker": "8", "size": 1.4}
BACKGROUND_RUNS: Look = {"color": "0.6", "marker": "o", "size": 0.75, "alpha": 0.7}
# Triangles at the edge of a figure, with the values of the points that lie beyond it.
BEYOND, BEYOND_COLOR = "^v", "#555555"
# A law outside of the fitted range of N, D, their ratio and their product.
EXTRAPOLATED = "extrapolated"
DASHES: tuple[float, Sequence[float]] = (0, (3.2, 1.6))
THIN_MARKERS = "x+"  # have no face
