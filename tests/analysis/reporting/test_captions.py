"""Captions of a report's figures: each says what follows from its figure."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from matplotlib.figure import Figure

from scalinglab.analysis.reporting import captions
from scalinglab.analysis.reporting.page import Section, page


def allocation(first: float, last: float, *exponent: float) -> Any:
    """Best splits with these tokens per parameter, of budgets from 1e18 on, and their exponent."""
    table = pd.DataFrame({"tokens_per_parameter": [first, last], "C": [1e18, 1e19]})
    columns = ["exponent", "exponent_lower", "exponent_upper"][: len(exponent)]
    return SimpleNamespace(
        table=table if first != last else table[:1],
        exponents=pd.DataFrame([exponent], index=["D/N"], columns=columns),
    )


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ((20.0, 20.0, 0.0), "20 tokens per parameter at C = 10¹⁸"),
        ((20.0, 20.5, 0.01, -0.1, 0.1), "About 20 tokens per parameter are best at all budgets"),
        ((80.0, 36.0, -0.18, -0.38, 0.07), "grow or fall with C is open: as C^-0.18 (-0.38 to 0."),
        ((20.0, 40.0, 0.3, 0.2, 0.4), "grow as C^0.30 (0.20 to 0.40), 20 to 40, C = 10¹⁸ to 10¹⁹."),
        ((15.8, 14.9, -0.03, -0.05, -0.01), "fall as C^-0.03 (-0.05 to -0.01), 15.8 to 14.9"),
        ((20.0, 40.0, 0.3), "grow as C^0.30, 20 to 40"),
    ],
)
def test_whether_tokens_per_parameter_change(split: tuple, says: str) -> None:
    """Intervals of two budgets overlap, though the exponent is known: they move together."""
    assert says in captions.tokens_per_parameter(allocation(*split))


def test_growth_is_an_exponent_with_its_interval() -> None:
    table = pd.DataFrame(
        {"exponent": [0.498], "exponent_lower": [0.475], "exponent_upper": [0.518]}, index=["N"]
    )
    text = captions.growth(cast("Any", SimpleNamespace(exponents=table)), "N")
    assert text == "The best size N* grows as C^0.50 (0.47 to 0.52)."


def test_figures_are_numbered_through_the_page() -> None:
    sections = [
        Section("a", figures=[("One.", Figure())]),
        Section("b", figures=[("Two.", Figure())]),
    ]
    html = page("", "", [], [], sections, "", leading=[("Zero.", Figure())])
    for number, text in enumerate(("Zero", "One", "Two"), start=1):
        assert f">Figure {number}. {text}.</figcaption>" in html


def test_a_figure_is_one_image_with_its_caption_and_alone_in_a_row_beside_it() -> None:
    wide = Figure(figsize=(9, 3))
    figures = [*(("One.", Figure()) for _ in range(3)), ("Wide.", wide), ("Last.", Figure())]
    html = page("", "", [], [], [Section("a", figures=figures)], "")
    classes = re.findall(r'<figure id="figure-1-(\d)"(?: class="(\w+)")?>', html)
    assert classes == [("1", ""), ("2", ""), ("3", "alone"), ("4", "broad"), ("5", "alone")]
    named = re.findall(r'<svg[^>]* role="img" aria-labelledby="([^"]+)"', html)
    assert named == re.findall(r'<figcaption id="([^"]+)"', html) and len(named) == 5
