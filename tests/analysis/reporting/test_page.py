"""A page: its tables, and texts that are never markup."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from scalinglab.analysis.plot.layers import line, points
from scalinglab.analysis.plot.style import figure_of, finish, panels
from scalinglab.analysis.reporting.drawn import WIDTH
from scalinglab.analysis.reporting.page import Details, RunDetails, Section, page
from scalinglab.analysis.reporting.pictures import picture
from scalinglab.analysis.tables.interval_text import with_intervals


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
    assert shown(html) == texts


def shown(html: str) -> list[str]:
    """Numbers of a page's tables as a reader sees them."""
    return re.findall(r'<td class="number"[^>]*>(.*?)</td>', html)


def test_cells_keep_the_numbers_that_their_texts_shorten() -> None:
    """For files, and for sorting: 1.06B comes after 790M."""
    table = pd.DataFrame({"N": [1.057e9, 7.9e8], "C": [3e19, 4e18], "seed": [0, 1]})
    html = page("", "", [], [], [Section(tables=[table])], "")
    assert shown(html) == ["1.06B", "3·10¹⁹", "0", "790M", "4·10¹⁸", "1"]
    assert re.findall('data-value="(.*?)"', html) == ["1057000000", "3e+19", "790000000", "4e+18"]


def test_counts_and_compute_of_a_column_have_equal_digits() -> None:
    table = pd.DataFrame(
        {"N": [1.1e9, 1.08e9, 262_144], "C": [4e19, 5.9e18, 1e17], "seconds": [8.837, 68.98, 0]}
    )
    html = page("", "", [], [], [Section(tables=[table])], "")
    rows = np.reshape(shown(html), (3, 3)).T.tolist()
    assert rows[0] == ["1.10B", "1.08B", "262k"]
    assert rows[1] == ["4.0·10¹⁹", "5.9·10¹⁸", "1.0·10¹⁷"]
    assert rows[2] == ["8.8", "69.0", "0.0"]


def test_relative_differences_are_percent() -> None:
    table = pd.DataFrame({"effect": [0.00308], "effect_lower": [-0.0038], "least": [0.019]})
    html = page("", "", [], [], [Section(tables=[table])], "")
    assert shown(html) == ["+0.31%", "−0.38%", "1.90%"]


def test_no_text_anywhere_in_a_page_is_markup() -> None:
    script = "<script>alert('&')</script>"
    section = Section(
        title=script,
        text=script,
        tables=[pd.DataFrame({script: [script]})],
        figures=[(script, Figure())],
        listing=script,
        refused=[script],
        details=Details(script, script, pd.DataFrame({script: [script]})),
    )
    html = page(script, script, [f"{script}\n- {script}"], [script], [section], script)
    assert script not in html and script not in html.replace("\\u003c", "<")
    assert html.count("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;") == 19


def test_what_is_empty_is_left_out() -> None:
    html = page("title", "question", ["found"], [], [Section("heading")], "outputs")
    assert html.count("<h2") == 1 and "careful" not in html
    assert html.count("<p") == 2 and "<pre" not in html and "<details>" not in html


def test_an_interval_stands_apart_from_its_value_on_a_narrow_screen() -> None:
    table = pd.DataFrame({"N": ["55.5k (51k to 57.2k)"], "b": ["no interval (yet)"]})
    html = page("", "", [], [], [Section(tables=[table])], "")
    assert '<td>55.5k <span class="between">(51k to 57.2k)</span></td>' in html
    assert "<td>no interval (yet)</td>" in html


def test_settings_that_many_runs_share_stand_in_the_page_once() -> None:
    recipe = "a recipe as long as those of real runs " * 20
    count = 500
    runs = pd.DataFrame(
        {
            "run_id": [f"run{k}" for k in range(count)],
            "recipe": recipe,
            "N": np.repeat([1e6, 2e6], count // 2),
            "one": [True, 1.0] * (count // 2),
            "loss": 3 - np.arange(count) / count,
        }
    )
    text = page("a", "", [], [], [], "outputs", runs=RunDetails(runs, {}))
    assert text.count(recipe) == 1
    assert len(text) < 60_000
    kept = json.loads(re.search(r'id="runs">(.*?)</script>', text, re.DOTALL)[1])
    packed = dict(zip(kept["columns"], kept["values"], strict=True))
    assert packed["recipe"] == {"of": [recipe], "at": []}
    assert packed["N"] == {"of": [1e6, 2e6], "at": [0] * 250 + [1] * 250}
    assert [type(value) for value in packed["one"]["of"]] == [bool, int]
    assert packed["loss"][:2] == [3.0, 2.998]  # all differ: as they are
    assert kept["curves"] == {} and kept["curves_in"] == ""


def test_a_page_that_curves_make_too_heavy_says_where_they_are(monkeypatch) -> None:
    runs = pd.DataFrame({"run_id": ["a", "b"], "loss": [3.0, 2.9]})
    details = RunDetails(runs, {"a": ([1, 2], [4.0, 3.0])}, {"a": [["begun", "", "running", ""]]})

    def told() -> dict:
        text = page("a", "", [], [], [], "outputs", runs=details)
        return json.loads(re.search(r'id="runs">(.*?)</script>', text, re.DOTALL)[1])

    assert told()["curves"] == {"a": [[1, 2], [4.0, 3.0]]} and told()["attempts"]["a"]
    monkeypatch.setattr("scalinglab.analysis.reporting.page._HEAVY", 1000)
    assert told()["curves"] == {} and told()["curves_in"] == "outputs"


def test_a_page_keeps_some_points_of_each_of_very_many_lines() -> None:
    (ax,) = panels(WIDTH, 0.7)
    steps = np.arange(1.0, 101)
    for k in range(200):
        line(ax, pd.DataFrame({"step": steps, "loss": k + 1 / steps}), "step", "loss", str(k))
    layers = json.loads(picture(figure_of(ax), "many").data)["layers"]
    steps_of = [layer["values"][layer["columns"].index("step")] for layer in layers]
    assert {len(column) for column in steps_of} == {15}  # 3,000 of all
    assert all(column[0] == 1 and column[-1] == 100 for column in steps_of)
    assert all(len(layer["at"][0]) == 15 for layer in layers)


def test_a_figure_names_a_run_by_its_place_in_the_page_and_a_setting_of_all_once() -> None:
    (ax,) = panels(WIDTH, 0.7)
    table = pd.DataFrame({"N": [1.0, 2, 3, 4], "loss": [4.0, 3, 2, 1], "run_id": [*"abcd"]})
    points(ax, table.assign(schedule="wsd"), "N", "loss", "runs", color="k")
    layer = json.loads(picture(figure_of(ax), "one", {"a": 7, "b": 0, "d": 2}).data)["layers"][0]
    values = dict(zip(layer["columns"], layer["values"], strict=True))
    assert values["run_id"] == [7, 0, "c", 2]  # the page knows nothing of c
    assert values["schedule"] == {"of": ["wsd"], "at": []}


def test_a_mark_in_a_legend_can_be_seen_however_many_the_runs() -> None:
    (ax,) = panels(WIDTH, 0.7)
    places = np.linspace(1, 2, 3000)
    points(ax, pd.DataFrame({"x": places, "y": places}), "x", "y", "runs")
    finish(ax, "x", "y")
    (mark,) = ax.get_legend().legend_handles
    assert ax.collections[0].get_sizes()[0] < 6 < mark.get_sizes()[0]


def test_a_page_names_its_folder_without_the_path_above_it(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, told in (
        (tmp_path / "mine" / "outputs", "mine/outputs"),
        ("outputs", "outputs"),
        (tmp_path.parent / "other", "other"),
    ):
        html = page("", "", [], [], [], folder)
        assert f"from the records in {told}." in html and str(tmp_path.parent) not in html


def test_rows_that_a_telephone_can_compare_are_no_cards() -> None:
    def shown_of(rows: int) -> str:
        table = pd.DataFrame({name: ["1.00B (0.90B to 1.10B)"] * rows for name in "abcdefg"})
        return page("", "", [], [], [Section(tables=[table])], "")

    few, more = shown_of(3), shown_of(4)
    assert 'class="wide stack"' in few and 'extra"' not in few
    assert 'class="wide"' in more and "<th>a</th>" in more and '<th class=" extra">g</th>' in more
    assert "turn the telephone, or take the table as CSV" in more


def test_texts_with_intervals_keep_their_numbers_for_files() -> None:
    table = pd.DataFrame(
        {"N": [55_731.2, 2e6], "N_lower": [45_612, np.nan], "N_upper": [7e4, np.nan]}
    )
    html = page(
        "", "", [], [], [Section(tables=[with_intervals(table.assign(why=["a", "b"]))])], ""
    )
    assert '>55.7k <span class="between">(45.6k to 70.0k)</span></td>' in html
    assert re.findall(r'data-value="(.*?)"', html) == ["55731.2", "2000000"]
    assert re.findall(r'data-ends="(.*?)"', html) == ["45612 70000"]
