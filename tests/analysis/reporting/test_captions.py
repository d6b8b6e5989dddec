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


def allocation(*ratios: tuple[float, float, float]) -> Any:
    """Best splits with these tokens per parameter, of budgets from 1e18 on."""
    name = "tokens_per_parameter"
    columns = [f"{name}{end}" for end in ("", "_lower", "_upper")]
    table = pd.DataFrame(ratios, columns=columns)
    return SimpleNamespace(table=table.assign(C=[10.0 ** (18 + k) for k in range(len(ratios))]))


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ([(20.0, 18, 22)], "20 tokens per parameter at C = 10¹⁸"),
        ([(20.0, 18, 22), (20.5, 18, 23)], "About 20 tokens per parameter are best at all budgets"),
        ([(80.0, 51, 105), (36.0, 17, 102)], "fall from 80 to 36, C = 10¹⁸ to 10¹⁹; their interv"),
        ([(20.0, 18, 22), (40.0, 35, 45)], "grow from 20 to 40, C = 10¹⁸ to 10¹⁹."),
    ],
)
def test_whether_tokens_per_parameter_change(ratios: list, says: str) -> None:
    assert says in captions.tokens_per_parameter(allocation(*ratios))


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
