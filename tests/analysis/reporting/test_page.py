"""A page: its tables, and texts that are never markup."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from scalinglab.analysis.reporting.page import Section, page


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.4057, 1.63, np.nan], ["1.4057", "1.6300", ""]),  # one size: decimals line up
        ([676.06, 1.3855], ["676.06", "1.3855"]),  # of several sizes: five digits each
        ([2.5559e7, 5e7], ["2.5559·10⁷", "5·10⁷"]),
        ([1000, 5], ["1,000", "5"]),
        ([329_728.0, np.nan], ["329,728", ""]),  # counts that a gap made floats
    ],
)
def test_numbers_of_one_size_have_equal_decimals(values: list, texts: list[str]) -> None:
    html = page("", "", [], [], [Section(tables=[pd.DataFrame({"x": values})])], "")
    assert [f'<td class="number">{text}</td>' in html for text in texts] == [True] * len(texts)


def test_relative_differences_are_percent() -> None:
    table = pd.DataFrame({"effect": [0.00308], "effect_lower": [-0.0038], "least": [0.019]})
    html = page("", "", [], [], [Section(tables=[table])], "")
    assert [
        f'<td class="number">{text}</td>' in html for text in ("+0.31%", "-0.38%", "1.90%")
    ] == [True] * 3


def test_no_text_anywhere_in_a_page_is_markup() -> None:
    script = "<script>alert('&')</script>"
    section = Section(
        title=script,
        text=script,
        tables=[pd.DataFrame({script: [script]})],
        figures=[(script, Figure())],
        listing=script,
        refused=[script],
    )
    html = page(script, script, [f"{script}\n- {script}"], [script], [section], script)
    assert script not in html and script not in html.replace("\\u003c", "<")
    assert html.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == 15


def test_what_is_empty_is_left_out() -> None:
    html = page("title", "question", ["found"], [], [Section("heading")], "outputs")
    assert html.count("<h2") == 1 and "careful" not in html
    assert html.count("<p") == 2 and "<pre" not in html and "<details>" not in html
