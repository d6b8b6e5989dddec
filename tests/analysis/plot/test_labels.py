"""What users name stands in figures and pages as it is."""

from __future__ import annotations

import pandas as pd
import pytest

from scalinglab.analysis import plot
from scalinglab.analysis.plot.files import svg
from scalinglab.analysis.plot.labels import decimal, literal
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.page import Section, page

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
    table = pd.DataFrame({"place": [1, 2] * 2, "loss": [2.0, 1.0, 3.0, 1.0]})
    table["arm"] = pd.Series([name, name, "other", "other"], dtype=object)
    figure = drawn(plot.measured_against, table, "place", by="arm", labels=(name, name))
    shown = svg(figure)
    assert shown.startswith("<svg") and "\x1b" not in shown
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == [literal(name), "other"]
    page(name, "", [], [], [Section(figures=[(name, figure)])], "").encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-63.94, "\N{MINUS SIGN}63.9"),
        (2.3e10, "2.3·10¹⁰"),
        (-2e-4, "\N{MINUS SIGN}2·10⁻⁴"),
        (0, "0"),
        (1e3, "1,000"),
    ],
)
def test_numbers_have_one_style(value: float, text: str) -> None:
    assert decimal(value) == text


def test_a_page_shows_any_text_as_it_is() -> None:
    shown = page("title", "why \x1b[2J \ud800?", ["- \x9b"], [], [], "/data/\udcff")
    assert "\x1b" not in shown and "\x9b" not in shown
    assert b"\\x1b[2J \\ud800?" in shown.encode()
