"""What users name stands in figures and pages as it is."""

from __future__ import annotations

import pytest

from scalinglab.analysis.plot.files import svg
from scalinglab.analysis.plot.labels import literal
from scalinglab.analysis.reporting.page import Section, page
from scalinglab.analysis.studies.draw import panels

NAMES = (
    "$x_{",
    "a$b$",
    "$\\frac{1}$",
    "_base",
    "<b>bold</b>",
    "[bold]",
    "%s {x}",
    "\x1b[2J",
    "\ud800",
    "a--b",
)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_drawn(name: str) -> None:
    lines = [(name, [1, 2], [2.0, 1.0]), ("other", [1, 2], [3.0, 1.0])]
    figure = panels([(name, lines)], name, name)
    shown = svg(figure)
    assert shown.startswith("<svg") and "\x1b" not in shown
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == [literal(name), "other"]
    page(name, "", [], [], [Section(figures=[(name, figure)])], "").encode()


def test_a_page_shows_any_text_as_it_is() -> None:
    shown = page("title", "why \x1b[2J \ud800?", ["- \x9b"], [], [], "/data/\udcff")
    assert "\x1b" not in shown and "\x9b" not in shown
    assert b"\\x1b[2J \\ud800?" in shown.encode()
