"""Tables for papers: numbers below each other, intervals beside them, text as it is."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.tables.latex import latex
from scalinglab.analysis.tables.symbols import formula, is_formula


def rows(*columns: list[str]) -> tuple[str, list[list[str]]]:
    """The alignment of a table of these columns, and its cells in LaTeX."""
    table = pd.DataFrame({f"c_{k}": column for k, column in enumerate(columns)})
    text = latex(table, "x & y", columns)
    body = text.partition("\\midrule\n")[2].partition("    \\bottomrule")[0]
    lines = [line.removesuffix(r"\\") for line in body.splitlines()]
    cells = [[cell.strip() for cell in line.split("&")] for line in lines]
    alignment = re.search(r"\\begin\{tabular\}\{(.*)\}$", text, re.MULTILINE)
    assert alignment is not None and r"\caption{x \& y}" in text
    return alignment[1], cells


def test_decimal_points_stand_below_each_other() -> None:
    alignment, cells = rows(["1.5", "12", "", "-0.25"])
    assert alignment == "r"
    assert [c[0] for c in cells] == [r"1.5\phantom{0}", r"12\phantom{.00}", "", "$-0.25$"]


def test_an_interval_has_a_column_of_its_own() -> None:
    alignment, cells = rows(["0.35 (0.34 to 0.36)", "1.4e+04"], ["5%", "7%"], ["a_b", "2 runs"])
    assert alignment == "r@{ }lrl"
    assert cells[0] == ["0.35", "(0.34 to 0.36)", r"5\%", r"a\_b"]
    assert cells[1] == [r"$1.4 \times 10^{4}$", "", r"7\%", "2 runs"]


def test_parameters_and_a_formula_are_mathematics() -> None:
    table = pd.DataFrame({"parameter": ["alpha", "N_c", "A[a_b]", "x"]})
    text = latex(table, LAWS["kaplan_nd"].formula, [list(table["parameter"])])
    assert all(cell in text for cell in (r"$\alpha$", "$N_{c}$", r"$A_{\mathrm{a\_b}}$", "$x$"))
    assert (
        r"\caption{$L = [(N_{c} / N)^{\alpha_{N} / \alpha_{D}} + D_{c} / D]^{\alpha_{D}}$}" in text
    )


@pytest.mark.parametrize("name", LAWS)
def test_every_formula_is_written_as_mathematics(name: str) -> None:
    written = formula(LAWS[name].formula)
    assert is_formula(LAWS[name].formula) and written.startswith("$")
    assert written.count("{") == written.count("}") and written.count("$") % 2 == 0
    mathematics = "".join(written.split("$")[1::2])
    assert not re.search(r"[\^_](?!\{)", mathematics)  # all that is raised or lowered has braces
    assert not re.search(r"(?<![\\a-z{])(?:alpha|beta|gamma|delta)", mathematics)


def test_a_sentence_is_no_formula() -> None:
    for caption in ("Best splits of compute budgets, C = 6 N D", "chinchilla fitted to 52 runs"):
        assert not is_formula(caption)


def test_a_long_caption_of_words_is_told_from_a_formula_at_once() -> None:
    """A pattern that tries the parts of each word took minutes; this would not end."""
    assert not is_formula("law_of_runs_with_a_long_name" * 50)
    assert is_formula("L(N, D) = E + A / N^alpha")
