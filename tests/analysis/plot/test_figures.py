"""Figures that can be read and published, in a printed column and on a page."""

from __future__ import annotations

import functools
import io
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from scalinglab import analysis
from scalinglab.analysis import plot
from scalinglab.analysis.plot import marks
from scalinglab.analysis.plot.files import svg
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import of_arms
from scalinglab.analysis.plot.layers import layers, points
from scalinglab.analysis.plot.marks import EXTRAPOLATED
from scalinglab.analysis.plot.style import PALETTE, category, colour_map, panels
from scalinglab.analysis.reporting import page
from scalinglab.analysis.reporting.drawn import WIDTH
from scalinglab.scaling.errors import UserError

BUDGETS = (1e21, 1e22)
ARMS = ["adamw", "muon"] * 50
FIGURES: dict[str, Callable] = {
    "loss_against_compute": lambda m, ax: plot.loss_against_compute(
        m.law, m.runs, held_out=m.held_out, budgets=BUDGETS, ax=ax
    ),
    "loss_against N": lambda m, ax: plot.loss_against(
        m.law, m.runs, "N", held_out=m.held_out, ax=ax
    ),
    "loss_against D": lambda m, ax: plot.loss_against(m.law, m.runs, "D", ax=ax),
    "losses without a law": lambda m, ax: plot.loss_against_compute(None, m.runs, ax=ax),
    "isoflop": lambda m, ax: plot.isoflop(m.runs, ax=ax),
    "isoflop of clean runs": lambda m, ax: plot.isoflop(m.runs[m.runs["loss"] < 9], ax=ax),
    "best_size": lambda m, ax: plot.best_size(m.law, m.runs, BUDGETS, ax=ax),
    "best_tokens": lambda m, ax: plot.best_tokens(m.law, m.runs, BUDGETS, ax=ax),
    "best_ratio": lambda m, ax: plot.best_ratio(m.law, m.runs, BUDGETS, ax=ax),
    "iso_loss": lambda m, ax: plot.iso_loss(m.law, m.runs, BUDGETS, ax=ax),
    "reducible_loss": lambda m, ax: plot.reducible_loss(m.law, m.runs, held_out=m.held_out, ax=ax),
    "residuals": lambda m, ax: plot.residuals(m.law, m.runs, held_out=m.held_out, ax=ax),
    "allocation": lambda m, ax: m.allocation.plot(ax=ax),
    "laws_compared": lambda m, ax: m.laws.plot(ax=ax),
    "runs": lambda m, ax: plot.runs(m.runs, ax=ax),
    "curves": lambda m, ax: plot.curves(m.curves, m.curve_law, held_out=["cosine"], ax=ax),
    "curves alone": lambda m, ax: plot.curves(m.curves, ax=ax),
    "learning_rates": lambda m, ax: plot.learning_rates(m.curves, ax=ax),
    "lr_basins": lambda m, ax: plot.lr_basins(m.sweep, ax=ax),
    "lr_basins of names": lambda m, ax: plot.lr_basins(
        m.sweep.assign(block=m.sweep["N"].map("size {:.0e}".format)), by="block", ax=ax
    ),
    "measured_against": lambda m, ax: plot.measured_against(m.arms.runs, "D", by="arm", ax=ax),
    "measured_against names": lambda m, ax: plot.measured_against(
        m.curves.dropna(subset=["loss"]).assign(of="measured"), "schedule", by="of", ax=ax
    ),
    "arm_losses": lambda m, ax: plot.arm_losses(m.arms, ax=ax),
    "residuals by arm": lambda m, ax: plot.residuals(
        m.law, m.runs.assign(recipe=ARMS[: len(m.runs)]), held_out=m.held_out, arm="recipe", ax=ax
    ),
    "arm_ratio": lambda m, ax: plot.arm_ratio(m.arms, ax=ax),
    "speed_up": lambda m, ax: plot.speed_up(m.arms, ax=ax),
    "multiverse": lambda m, ax: plot.multiverse(m.multiverse, answer=1e9, ax=ax),
    "multiverse_shares": lambda m, ax: plot.multiverse_shares(m.multiverse, ax=ax),
    "collapse": lambda m, ax: plot.collapse(m.curves, 1.0, ax=ax),
    "profile": lambda m, ax: plot.profile(m.profile, ax=ax),
    "forecast": lambda m, ax: plot.forecast(m.forecast, m.begun, ax=ax),
    "experts": lambda m, ax: plot.experts(m.expert_law, m.experts, ax=ax),
    "mixture": lambda m, ax: plot.mixture(
        m.share_law, m.shares[m.shares["D"] > 5e9], "r", by="N", ax=ax
    ),
}
_LAWS = [
    name
    for name in FIGURES
    if name
    not in (
        "losses without a law",
        "allocation",
        "laws_compared",
        "runs",
        "curves alone",
        "learning_rates",
        "collapse",
        "multiverse",
        "multiverse_shares",
        "profile",
        "lr_basins",
        "lr_basins of names",
        "measured_against names",
        "isoflop",
    )
]
_MOST_LINES = 8  # in a legend: at most a handful of labels


def drawn(name: str, made, width: float) -> Axes:
    (ax,) = panels(width)
    assert FIGURES[name](made, ax) is ax
    return ax


@pytest.fixture(scope="module")
def on_page(made) -> Callable[[str], Axes]:
    """A figure as wide as in a report, drawn once for the tests that only look at it."""
    return functools.cache(lambda name: drawn(name, made, WIDTH))


def boxes(figure: Figure) -> list[tuple[str, mpl.transforms.Bbox]]:
    FigureCanvasAgg(figure).draw()
    found: list[Text] = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            shown = axis._update_ticks()
            for tick in shown:
                found += [t for t in (tick.label1, tick.label2) if t.get_visible()]
            found += [axis.label, axis.get_offset_text()]
        found += ax.texts
        if ax.get_legend() is not None:
            found += ax.get_legend().get_texts()
    return [(t.get_text(), t.get_window_extent()) for t in found if t.get_text().strip()]


@pytest.mark.parametrize("width", [plot.COLUMN, plot.PAGE])
@pytest.mark.parametrize("name", FIGURES)
def test_no_two_texts_overlap_and_none_is_cut(name: str, width: float, made) -> None:
    with mpl.rc_context(plot.PAPER):
        ax = drawn(name, made, width)
        found = boxes(ax.figure)
    whole = ax.figure.bbox
    for text, box in found:
        assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1, f"{text!r} is cut"
        assert box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1, f"{text!r} is cut"
    for (one, a), (other, b) in itertools.combinations(found, 2):
        assert not a.shrunk(0.92, 0.8).overlaps(b.shrunk(0.92, 0.8)), f"{one!r} on {other!r}"
    legend = ax.get_legend()
    assert legend is None or len(legend.get_texts()) <= _MOST_LINES


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_says_what_it_shows(name: str, on_page) -> None:
    ax = on_page(name)
    for label in (ax.get_xlabel(), ax.get_ylabel()):
        assert len(label) > 4 and "=1e" not in label


@pytest.mark.parametrize("name", _LAWS)
def test_every_line_of_a_law_has_its_interval(name: str, on_page) -> None:
    ax = on_page(name)
    lines = [layer for layer in layers(ax) if layer.kind == "line"]
    if name in ("iso_loss", "forecast"):  # along lines of equal compute; at several levels
        return _has_area(ax)
    if name.startswith("residuals"):
        return _has_area(ax)
    assert lines
    for layer in lines:
        assert layer.ends is not None, layer.name
        assert any(isinstance(artist, PolyCollection) for artist in layer.artists)
    return None


def _has_area(ax: Axes) -> None:
    assert [a for a in (*ax.collections, *ax.patches) if "interval" in str(a.get_label())]


def test_what_lies_beyond_both_sides_is_told_between_the_marks() -> None:
    """The text stood beside the axes, which were squeezed to make room for it."""
    (ax,) = panels(plot.COLUMN)
    rates = np.geomspace(1e-4, 1, 13)
    loss = np.where(np.abs(np.log(rates / 1e-2)) > 4, np.inf, 2 + np.log(rates / 1e-2) ** 2 / 50)
    runs = pd.DataFrame({"N": 1e6, "lr": rates, "loss": loss})
    texts = boxes(plot.lr_basins(runs, ax=ax).figure)
    ((text, box),) = [(text, box) for text, box in texts if text.startswith("outside: ")]
    assert text == "outside: 2 diverged"
    assert ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1
    assert ax.bbox.width > 0.6 * ax.figure.bbox.width


@pytest.mark.parametrize("name", ["loss_against_compute", "residuals", "reducible_loss", "isoflop"])
def test_a_run_far_from_the_rest_is_marked_at_the_edge_and_presses_nothing(
    name: str, on_page
) -> None:
    ax = on_page(name)
    assert any(text.get_text().startswith("outside: ") for text in ax.texts)
    shown = np.concatenate([layer.values[1] for layer in layers(ax) if layer.kind == "points"])
    low, high = ax.get_ylim()
    assert high < np.nanmax(shown) or low > np.nanmin(shown)


def test_where_no_split_is_best_the_other_things_are_drawn(made) -> None:
    """A floor in D: all compute goes into size, at every budget."""
    law = replace(made.law, params=made.law.params | {"B": 0.0}, draws=made.law.draws.iloc[:0])
    (ax,) = panels(plot.PAGE)
    plot.best_size(law, made.runs, BUDGETS, ax=ax)
    assert [layer.name for layer in layers(ax)] == ["runs"]
    plot.iso_loss(law, made.runs, BUDGETS, ax=panels(plot.PAGE)[0])


def test_arms_are_told_apart_by_colour_and_marker_and_sizes_by_the_mark(on_page) -> None:
    ax = on_page("arm_losses")
    for name in ("adamw", "muon"):
        layer, law = (next(x for x in layers(ax) if x.name == n) for n in (name, f"law, {name}"))
        dots, (band, drawn_line, *_) = layer.artists[0], law.artists
        assert set(layer.table["arm"]) == {name}
        colour = mpl.colors.to_hex(dots.get_edgecolor()[0])
        assert (
            colour == drawn_line.get_color().lower() == mpl.colors.to_hex(band.get_facecolor()[0])
        )
        assert not dots.get_facecolor().size  # outlines: no run of one arm hides that of the other
        by_size = pd.Series(dots.get_sizes()).groupby(layer.table["N"]).first()
        assert by_size.is_monotonic_increasing and by_size.iloc[-1] > 3 * by_size.iloc[0]
    shapes = [layer.artists[0].get_paths()[0] for layer in layers(ax) if layer.kind == "points"]
    assert len({len(shape.vertices) for shape in shapes}) == 2
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"adamw", "muon", EXTRAPOLATED, "N = 10M", "N = 1B"} <= set(names)
    # The law is drawn where its best split is, not where the runs of one size are.
    table = next(x for x in layers(ax) if x.name == "law, muon").table
    assert (table["N"].diff().dropna() > 0).all()


def test_more_arms_than_colours_still_look_different(made) -> None:
    looks = {tuple(category(k).values()) for k in range(30)}
    assert len(looks) == 30
    (ax,) = panels(plot.PAGE)
    names = [f"arm {k % 9}" for k in range(len(made.runs))]
    plot.residuals(made.law, made.runs.assign(recipe=names), arm="recipe", ax=ax)
    assert [x.name for x in layers(ax)][-1] == "others"
    assert sum(len(x.table) for x in layers(ax)) == len(made.runs)


def test_arms_without_laws_are_drawn_by_their_runs(made) -> None:
    alone = replace(made.arms, result=None, ladder=None)
    (ax,) = panels(plot.COLUMN)
    plot.arm_losses(alone, ax=ax)
    assert [x.name for x in layers(ax)] == ["adamw", "muon"]
    with pytest.raises(UserError, match="no run has come to its end"):
        plot.arm_losses(replace(alone, runs=alone.runs.iloc[:0]))


def test_a_figure_is_saved_in_each_format_with_its_data(made, tmp_path) -> None:
    ax = drawn("loss_against_compute", made, plot.PAGE)
    paths = plot.save(ax, tmp_path / "frontier", formats=("svg", "png", "pdf", "csv"))
    assert [path.name for path in paths] == [f"frontier.{e}" for e in ("svg", "png", "pdf", "csv")]
    picture = (tmp_path / "frontier.svg").read_text()
    assert ">training compute C = 6 N D (FLOPs)</text>" in picture
    table = pd.read_csv(tmp_path / "frontier.csv")
    fitted = table[table["layer"] == "fitted runs"]
    assert fitted["loss"].tolist() == pytest.approx(made.runs["loss"].tolist())
    best = table[table["layer"].str.startswith("best split")]
    assert (best["loss_lower"] <= best["loss"]).all() and (best["loss"] <= best["loss_upper"]).all()
    again = plot.save(drawn("loss_against_compute", made, plot.PAGE), tmp_path / "again.svg")
    assert again[0].read_text() == picture
    with pytest.raises(ValueError, match=r"written as png, svg, pdf, csv, not 'gif'"):
        plot.save(ax, tmp_path / "x.gif")


def test_a_figure_obeys_rcparams_and_its_width(made) -> None:
    with mpl.rc_context(
        {"font.size": 6, "axes.prop_cycle": mpl.cycler(color=["#123456", "#654321"])}
    ):
        ax = plot.axes(plot.COLUMN)
        plot.best_size(made.law, made.runs, BUDGETS, ax=ax)
    assert ax.figure.get_figwidth() == plot.COLUMN
    assert ax.xaxis.label.get_size() == 6
    assert "#123456" in {line.get_color() for line in ax.lines}


def test_names_are_functions_whichever_file_is_imported_first() -> None:
    code = (
        "import sys; from scalinglab.analysis import plot; assert 'matplotlib' not in sys.modules;"
        "import scalinglab.analysis.plot.learning_rates_figure;"
        "bad = [n for n in plot.__all__ if n.islower() and not callable(getattr(plot, n))];"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as each kind of eye sees it.
_EYES = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colours: np.ndarray, eye: str) -> np.ndarray:
    """CIE Lab of colours as an eye sees them."""
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(_EYES[eye]).T, 0, 1) @ _XYZ.T / [0.9505, 1.0, 1.089]
    f = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


# The filters of CSS (W3C Filter Effects 1): hue-rotate by half a turn, of sRGB.
_HALF_TURN = np.array([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])


def on_paper(colours: np.ndarray, dark: bool) -> tuple[np.ndarray, np.ndarray]:
    """Colours and paper as a light or a dark page shows them, as its style says."""
    if not dark:
        return colours, np.ones(3)
    css = (Path(page.__file__).parent / "templates" / "page.css").read_text()
    css = css[css.index("prefers-color-scheme: dark") :]
    inverted = re.search(r"figure svg { filter: invert\(([.\d]+)\) hue-rotate\(180deg\); }", css)
    paper = re.search(r"--paper: (#[0-9a-f]{6})", css)
    assert inverted and paper
    share = float(inverted[1])
    turned = (colours * (1 - share) + (1 - colours) * share) @ _HALF_TURN.T
    return np.clip(turned, 0, 1), np.array(mpl.colors.to_rgb(paper[1]))


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("eye", _EYES)
def test_colours_are_told_apart_by_every_eye(eye: str, dark: bool) -> None:
    seen = lab(on_paper(np.array([mpl.colors.to_rgb(c) for c in PALETTE]), dark)[0], eye)
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(a - b) > 9
    sizes = on_paper(colour_map()(np.linspace(0, 1, 12))[:, :3], dark)[0]
    lightness = lab(sizes, eye)[:, 0] * (-1 if dark else 1)
    assert (np.diff(lightness) > 1).all()


def contrast(colours: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """WCAG's contrast of colours, shape (colours,)."""

    def luminance(rgb: np.ndarray) -> np.ndarray:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ _XYZ[1] + 0.05

    a, b = luminance(colours), luminance(paper)
    return np.maximum(a, b) / np.minimum(a, b)


@pytest.mark.parametrize(("dark", "least"), [(False, 2), (True, 3)])
def test_colours_stand_out_on_light_and_dark_pages(dark: bool, least: float) -> None:
    colours = np.array([mpl.colors.to_rgb(c) for c in PALETTE])
    colours = np.concatenate([colours, colour_map()(np.linspace(0, 1, 9))[:, :3]])
    assert contrast(*on_paper(colours, dark)).min() > least


def test_a_legend_is_grey_where_an_entry_has_many_colours(on_page) -> None:
    ax = on_page("loss_against N")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    handles = dict(zip(names, ax.get_legend().legend_handles, strict=True))
    for name in ("fitted runs", "95% interval"):
        red, green, blue, _ = np.ravel(handles[name].get_facecolor())
        assert red == green == blue, name
    one = on_page("best_size").get_legend().legend_handles
    assert any(len(set(np.ravel(h.get_facecolor())[:3])) > 1 for h in one if isinstance(h, Patch))


def test_a_bar_that_goes_on_beyond_the_figure_ends_in_an_arrow() -> None:
    """No interval looks shorter than it is, and what must be shown is."""
    (ax,) = panels(plot.COLUMN)
    table = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 1.1]})
    table = table.assign(y_lower=[0.95, 1.05], y_upper=[1.05, 9.0])
    points(ax, table, "x", "y", "measured", color="red")
    frame(ax, log=False, hold=(0.5,))
    bottom, top = ax.get_ylim()
    assert bottom <= 0.5 and top < 9
    goes_on = [line for line in ax.lines if line.get_label() == "_goes on"]
    assert [list(line.get_xdata()) for line in goes_on] == [[2.0]]


def test_about_as_many_runs_as_promised_lie_in_the_band_of_residuals(on_page) -> None:
    """The band is that of a run, not of the law's mean, which most runs lie outside."""
    ax = on_page("residuals")
    (band,) = [a for a in ax.collections if str(a.get_label()) == "95% interval of a run"]
    corners = band.get_paths()[0].vertices
    (fitted,) = [layer for layer in layers(ax) if layer.name == "fitted runs"]
    at, residual = (values[~fitted.away] for values in fitted.values)
    low, high = (
        np.array([pick(corners[np.abs(np.log(corners[:, 0] / x)) < 0.2, 1]) for x in at])
        for pick in (np.min, np.max)
    )
    assert np.mean((low <= residual) & (residual <= high)) >= 0.85
    # One run far away makes no band that leaves the figure, and none as wide as its own error.
    bottom, top = ax.get_ylim()
    assert bottom < corners[:, 1].min() and corners[:, 1].max() < top
    assert np.abs(corners[:, 1]).max() < 5 * np.abs(residual).max()


def test_errors_have_one_sign_in_tables_and_figures(made, on_page) -> None:
    """A report said -1.80% in its table and +1.8 in its figure of the same run."""
    ax = on_page("residuals")
    assert ax.get_ylabel().replace("\n", " ") == "predicted / measured − 1 (%)"
    (held_out,) = [layer for layer in layers(ax) if layer.name == "held-out runs"]
    predicted = made.law.predict(made.held_out, level=0.95)
    losses = made.held_out["loss"].to_numpy()
    np.testing.assert_allclose(held_out.values[1], 100 * (predicted["loss"] / losses - 1))
    # A star lies in its bar where the measured loss lies in its interval.
    inside = (predicted["lower"] <= losses) & (losses <= predicted["upper"])
    low, high = (held_out.table[f"interval_{end}"].to_numpy() for end in ("lower", "upper"))
    assert ((low <= held_out.values[1]) & (held_out.values[1] <= high) == inside).all()


def test_no_point_stands_where_the_value_of_one_outside_is_written(made) -> None:
    ax = drawn("residuals", made, plot.PAGE)
    (text,) = [text for text in ax.texts if text.get_text().startswith("outside: ")]
    FigureCanvasAgg(ax.figure).draw()
    highest = text.get_window_extent().y1
    for layer in layers(ax):
        if layer.kind == "points":
            heights = ax.transData.transform(np.stack(layer.values, axis=1))[:, 1]
            assert not ((heights > ax.bbox.y0) & (heights < highest)).any()


def test_lines_of_sizes_are_named_and_of_sizes_trained_once_not_drawn(made) -> None:
    def of_sizes(runs: pd.DataFrame) -> list[str]:
        (ax,) = panels(plot.PAGE)
        plot.loss_against_compute(made.law, runs, ax=ax)
        drawn_lines = [a.name for a in layers(ax) if a.name.startswith("law at")]
        assert [f"law at {text.get_text()}" for text in ax.texts if "N =" in text.get_text()] == (
            drawn_lines
        )
        return drawn_lines

    N, D = (x.ravel() for x in np.meshgrid([1e8, 1e9], [1e9, 1e10, 1e11]))
    grid = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D})
    grid["loss"] = np.asarray(made.law.predict(grid)["loss"])
    assert of_sizes(grid) == ["law at N = 100M", "law at N = 1B"]
    assert of_sizes(made.runs) == []


def test_a_held_out_run_lies_beside_the_line_of_its_own_size(made) -> None:
    """On the line of the best split, a run of another size looks like a large miss."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e8, 3e9, 7), [1e9, 1e10, 1e11]))
    table = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D})
    table["loss"] = np.asarray(made.law.predict(table)["loss"])
    held_out = table.iloc[:1].assign(N=7e8, D=3e10)
    held_out["loss"] = np.asarray(made.law.predict(held_out)["loss"])
    lines = {}
    for name, more in (
        ("loss_against_compute", ()),
        ("loss_against", ("D",)),
        ("reducible_loss", ()),
    ):
        (ax,) = panels(plot.PAGE)
        getattr(plot, name)(made.law, table, *more, held_out=held_out, ax=ax)
        lines[name] = [a.name for a in layers(ax) if a.name.startswith("law at")]
    assert lines["loss_against_compute"] == lines["loss_against"]
    assert len(lines["loss_against"]) == 5 and "law at N = 700M" in lines["loss_against"]
    assert lines["reducible_loss"] == ["law at N = 700M"]


def test_the_size_of_a_run_far_from_the_law_has_no_line(made) -> None:
    """The run is off the axes, and its size, of which there was no other run, had a label."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e8, 3e9, 5), [1e9, 1e10, 1e11]))
    table = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D})
    far = pd.DataFrame({"N": 1e7, "D": [1e9, 1e10, 1e11], "C": [6e16, 6e17, 6e18]})
    table = pd.concat([table, far], ignore_index=True)
    table["loss"] = np.asarray(made.law.predict(table)["loss"]) * np.where(table["N"] > 1e7, 1, 3)
    for name, more in (("loss_against_compute", ()), ("loss_against", ("D",))):
        (ax,) = panels(plot.PAGE)
        getattr(plot, name)(made.law, table, *more, ax=ax)
        lines = [a.name for a in layers(ax) if a.name.startswith("law at")]
        assert "law at N = 100M" in lines and "law at N = 10M" not in lines


def dashed_at(ax: Axes, x: np.ndarray, layer_name: str) -> np.ndarray:
    """Whether a line is dashed at each of some places, and not solid."""
    (layer,) = [layer for layer in layers(ax) if layer.name.startswith(layer_name)]
    strokes = [artist for artist in layer.artists if isinstance(artist, Line2D)]
    drawn = {}
    for stroke in strokes:
        at = np.asarray(stroke.get_xdata(), float)
        segments = np.stack([at[:-1], at[1:]])[:, np.isfinite(at[:-1] + at[1:])]
        is_dashed = str(stroke.get_label()).lstrip("_") == EXTRAPOLATED
        assert is_dashed == (stroke._unscaled_dash_pattern[1] is not None)
        drawn[is_dashed] = ((segments[0] <= x[:, None]) & (x[:, None] <= segments[1])).any(axis=1)
    return drawn[True] & ~drawn[False]


def test_what_is_dashed_is_what_tables_call_outside(made) -> None:
    """A budget was outside the fitted range by its N, and the figure said it was inside.

    The test of both is that of N, D, their ratio and their product.
    """
    budgets = np.geomspace(made.runs["C"].min() / 2, made.runs["C"].max() * 2, 25)
    table = analysis.allocate(made.law, budgets).table
    assert table["inside"].any() and not table["inside"].all()
    figures: dict[str, Callable] = {
        "law": lambda ax: plot.best_size(made.law, made.runs, budgets, ax=ax),
        "best split": lambda ax: plot.reducible_loss(made.law, made.runs, ax=ax),
    }
    for name, draw in figures.items():
        (ax,) = panels(plot.PAGE)
        draw(ax)
        low, high = ax.get_xlim()
        shown = table[table["C"].between(low, high)]
        outside = dashed_at(ax, shown["C"].to_numpy(), name)
        # The range ends between two places of a line, which are a few percent apart.
        assert np.sum(outside == shown["inside"]) <= 1, name
        assert not ax.patches  # nothing is shaded: one look has one meaning, and hides no run


def test_laws_of_arms_are_dashed_between_ranges_that_they_do_not_share() -> None:
    """Nothing said so between them, where neither had a run of the other's size."""
    parts = []
    for arm, sizes in (("a", np.geomspace(1e7, 1e8, 4)), ("b", np.geomspace(1e9, 1e10, 4))):
        N, D = (x.ravel() for x in np.meshgrid(sizes, np.geomspace(1e9, 1e11, 4)))
        loss = 1.7 + 400 / N**0.34 + 1800 / D**0.37
        noise = np.exp(1e-3 * np.random.default_rng(0).standard_normal(len(N)))
        parts.append(pd.DataFrame({"arm": arm, "N": N, "D": D, "seed": 0, "loss": loss * noise}))
    apart = analysis.compare_arms(pd.concat(parts), between=("a", "b"), resamples=0)
    (ax,) = panels(plot.PAGE)
    plot.arm_losses(apart, ax=ax)
    assert dashed_at(ax, np.geomspace(1e18, 1e21, 9), "law, a").all()
    assert not apart.scales["inside"].any()


def test_lines_of_the_law_are_named_beside_their_ends(made) -> None:
    ax = drawn("loss_against N", made, plot.PAGE)
    lines = [layer for layer in layers(ax) if layer.kind == "line"]
    names = {text.get_text(): text for text in ax.texts}
    assert len(lines) > 2
    for layer in lines:
        text = names[layer.name.removeprefix("law at ")]
        assert text.xy == (layer.values[0][-1], layer.values[1][-1])
        # No run is hidden by a name: all stand to the left of where names begin.
        assert made.runs["N"].max() < text.xy[0] <= ax.get_xlim()[1]


def test_a_size_has_one_colour_in_all_figures_of_some_runs(made) -> None:
    """Residuals were coloured from the smallest to the largest fitted size, others to the largest
    held-out one.
    """
    larger = made.held_out.assign(N=10 * made.held_out["N"].max())
    colours = []
    for draw in (plot.residuals, plot.loss_against_compute, plot.reducible_loss):
        (ax,) = panels(plot.PAGE)
        draw(made.law, made.runs, held_out=larger, ax=ax)
        (fitted,) = [layer for layer in layers(ax) if layer.name == "fitted runs"]
        colours.append(fitted.artists[0].get_facecolor())
    np.testing.assert_allclose(colours[0], colours[1])
    np.testing.assert_allclose(colours[0], colours[2])


def test_each_mark_has_one_meaning() -> None:
    looks = [look for name, look in vars(marks).items() if name.isupper() and "marker" in look]
    assert len(looks) >= 6
    shapes = [look["marker"] for look in looks if look is not marks.BACKGROUND_RUNS]
    shapes += [*marks.BEYOND, *{category(k)["marker"] for k in range(30)}]
    assert len(set(shapes)) == len(shapes)


def test_ticks_of_colour_bars_are_alike(made) -> None:
    """Few sizes were marked as they were, 31.6M and 316M, beside figures with 30M and 300M."""
    ax = drawn("arm_ratio", made, plot.PAGE)
    (bar,) = [other for other in ax.figure.axes if other is not ax]
    FigureCanvasAgg(ax.figure).draw()
    ticks = [text.get_text() for text in bar.get_yticklabels()]
    assert {"30M", "100M", "300M"} <= set(ticks) and not any("." in tick for tick in ticks)


def test_a_label_is_as_long_as_its_axis_and_breaks_in_no_name(on_page) -> None:
    for name in FIGURES:
        ax = on_page(name)
        FigureCanvasAgg(ax.figure).draw()
        long = ax.yaxis.label.get_window_extent().height / ax.bbox.height
        assert long < 1.15, (name, ax.get_ylabel())
    label = of_arms(("a b", "c d"), "loss of {B} against {A} (%)")
    assert "c\N{NO-BREAK SPACE}d" in label
    assert all("c" not in part or "c\N{NO-BREAK SPACE}d" in part for part in wrap(label, 12))


def test_a_figure_is_drawn_once_and_as_matplotlib_would_by_two_drawings(made, monkeypatch) -> None:
    plain, buffer = drawn("best_size", made, plot.COLUMN).figure, io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scaling"}):
        nothing = {"Date": None, "Creator": None}
        plain.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    figure = drawn("best_size", made, plot.COLUMN).figure
    engine, drawings, draw = figure.get_layout_engine(), [], Axes.draw
    monkeypatch.setattr(Axes, "draw", lambda ax, to: (drawings.append(ax), draw(ax, to))[1])
    once = svg(figure)
    assert buffer.getvalue().endswith(once)
    assert len(drawings) == len(figure.axes) and figure.get_layout_engine() is engine


def test_a_law_of_shares_is_drawn_up_to_one(made) -> None:
    drawn = plot.data(plot.mixture(made.share_law, made.shares, "r", by="N"))
    assert drawn["r"].max() == 1.0 and drawn["r"].min() < made.shares["r"].min()
