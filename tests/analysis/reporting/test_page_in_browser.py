"""Reports as a person sees them, in a real browser: text is text, apart, and not cut.

Skipped where no browser is installed, unless REQUIRE_BROWSER is set: then they fail.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.plot.layers import points
from scalinglab.analysis.plot.style import figure_of, finish, panels
from scalinglab.analysis.reporting.drawn import WIDTH
from scalinglab.analysis.reporting.page import Details, Download, Section, page
from scalinglab.analysis.reporting.report import report_html
from scalinglab.analysis.reporting.verdict import Verdict
from scalinglab.analysis.reporting.write_verdict import verdict_html
from scalinglab.analysis.studies.lr_transfer import judge

BROWSER = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
in_browser = pytest.mark.skipif(
    BROWSER is None and not os.environ.get("REQUIRE_BROWSER"), reason="no Chromium on this machine"
)
# Asks the page what it shows: texts of figures with their places, what sticks out, what a hover says.
_LOOK = """
<script>
const measure = () => {
  const texts = [], cut = [];
  for (const figure of document.querySelectorAll("figure")) {
    const own = [];
    for (const text of figure.querySelectorAll("svg text")) {
      const box = text.getBoundingClientRect();
      if (!box.width) continue;
      own.push([text.textContent, box.left, box.top, box.right, box.bottom]);
      const frame = text.closest("svg").getBoundingClientRect();
      if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2
          || box.bottom > frame.bottom + 2) cut.push(text.textContent);
    }
    texts.push(own);
  }
  for (const element of document.querySelectorAll("h1, h2, p, li, figcaption, nav a, button")) {
    const box = element.getBoundingClientRect();
    if (box.width && (box.right > innerWidth + 1 || element.scrollWidth > element.clientWidth + 1)
        && getComputedStyle(element).display !== "inline") cut.push(element.textContent);
  }
  return {texts, cut};
};
// Tables that go on beyond their edge.
const cutTables = () => [...document.querySelectorAll(".wide")].filter(
  (table) => table.scrollWidth > table.clientWidth + 1).map((table) => table.textContent.slice(0, 60));
const told = {...measure(), tables: cutTables(), wide: document.documentElement.scrollWidth - innerWidth, tip: ""};
const figure = [...document.querySelectorAll("figure")].find((f) => f.textContent.includes('"run_id"'));
const data = JSON.parse(figure.querySelector("script").textContent);
const layer = data.layers.find((l) => l.columns.includes("run_id"));
const k = layer.at[0].findIndex(([x]) => x > 0);
const svg = figure.querySelector("svg");
svg.scrollIntoView();
const box = svg.getBoundingClientRect();
const at = {clientX: box.left + layer.at[0][k][0] * box.width / data.w,
            clientY: box.top + layer.at[0][k][1] * box.width / data.w, bubbles: true};
svg.dispatchEvent(new PointerEvent("pointermove", at));
told.tip = document.querySelector(".tip").textContent;
const drawer = document.querySelector("dialog");
drawer.style.maxHeight = "8rem"; // what is asked of a run is longer than its window
svg.dispatchEvent(new MouseEvent("click", at));
told.drawer = document.querySelector("dialog[open]") ? document.querySelector("dialog").textContent : "";
told.opened = [drawer.scrollTop, drawer.scrollHeight > drawer.clientHeight + 50,
  document.activeElement.textContent];
drawer.close();
const entry = document.querySelector(".entry");
entry.dispatchEvent(new MouseEvent("click", {bubbles: true}));
told.off = document.querySelectorAll('svg [style*="display: none"]').length;
// What each entry of a legend hides, by the names of the layers and bands: that of arms, or the first.
const named = (svg) => [...svg.querySelectorAll(".entry")].some((e) => e.textContent.trim() === "adamw");
const first = [...document.querySelectorAll("figure svg")].find(named)
  || document.querySelector("figure svg");
const shownParts = () => [...first.querySelectorAll("[id]")].filter(
  (part) => part.style.display !== "none" && part.tagName === "g").length;
told.hides = {};
entry.dispatchEvent(new MouseEvent("click", {bubbles: true}));
for (const one of first.querySelectorAll(".entry")) {
  const before = shownParts();
  one.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  told.hides[one.textContent.trim()] = before - shownParts();
  one.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  if (shownParts() !== before) told.hides[one.textContent.trim()] = -1;
}
const small = [...document.querySelectorAll("figure svg text")].map(
  (t) => [t.getBoundingClientRect().width && parseFloat(getComputedStyle(t).fontSize)
    * t.getScreenCTM().d, t.textContent]).filter(([size]) => size).sort((a, b) => a[0] - b[0]);
told.smallest = small[0];
const field = [...document.querySelectorAll("[data-filter]")].at(-1);
const rows = [...document.querySelectorAll(".tall tbody")].at(-1).rows;
field.value = "EXP-1 2.";
field.dispatchEvent(new Event("input"));
told.rows = [[...rows].filter((tr) => tr.getBoundingClientRect().height).map((tr) => tr.textContent),
  rows.length, document.querySelector(".tall").getBoundingClientRect().height];
const buttons = [...document.querySelectorAll("[data-scale]")];
for (const button of buttons) button.click();
told.linear = buttons[0].textContent;
told.on_linear = measure();
const label = [...document.querySelectorAll("figure svg text")].find((t) => t.getBoundingClientRect().width);
label.after(label.cloneNode(true));
const moved = label.cloneNode(true);
moved.style.transform = "translate(-3000px, 0)";
label.after(moved);
told.broken = measure();
parent.told[innerWidth] = told;
if (Object.keys(parent.told).length === WINDOWS)
  parent.document.body.textContent = "TOLD" + JSON.stringify(parent.told) + "DLOT";
</script>
"""


# What paper holds: what sticks out of it, what only scrolling or unfolding would show, and figures.
_PRINTED = """
<script>
const cut = [];
for (const element of document.querySelectorAll("h1, h2, p, li, table, th, td, pre, figure")) {
  const box = element.getBoundingClientRect();
  if (box.right > innerWidth + 1) cut.push(element.tagName + " " + element.textContent.slice(0, 40));
}
for (const element of document.querySelectorAll("main *"))
  if (/auto|scroll/.test(getComputedStyle(element).overflowX)) cut.push("scrolls: " + element.outerHTML.slice(0, 60));
const text = document.body.innerText;
const figures = [...document.querySelectorAll("figure svg")].filter((svg) => svg.getBoundingClientRect().width)
  .map((svg) => svg.getBoundingClientRect());
const captions = [...document.querySelectorAll("figcaption")].map((text) => text.getBoundingClientRect().left);
const broken = [...document.querySelectorAll("td.number")].filter(
  (td) => td.getBoundingClientRect().height > 24).map((td) => td.textContent);
const bold = parseFloat(getComputedStyle(document.querySelector("h2")).fontSize);
const drawn = document.querySelector("figure svg text");
const size = parseFloat(getComputedStyle(drawn).fontSize) * drawn.getScreenCTM().d;
parent.told[innerWidth] = {cut, text, broken, bold, size, captions,
  figures: figures.map((box) => [box.left, box.top, box.right])};
parent.document.body.textContent = "TOLD" + JSON.stringify(parent.told) + "DLOT";
</script>
"""
PAPER = 703  # pixels of A4 between the margins of the page


WIDTHS = (1400, 390)
SMALLEST = 9.5  # pixels of a text in a figure


def look(
    page: str, folder: Path, asking: str = _LOOK, widths: Sequence[int] = WIDTHS
) -> dict[int, dict[str, Any]]:
    """What a browser says of a page in windows of each width."""
    assert BROWSER, "REQUIRE_BROWSER is set, and no Chromium is on the PATH"
    asking = asking.replace("WINDOWS", str(len(widths)))
    whole = html.escape(page.replace("</body>", asking + "</body>"), quote=True)
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{whole}"></iframe>'
        for width in widths
    )
    (folder / "frame.html").write_text(
        f'<meta charset="utf-8"><script>const told = {{}}; window.told = told;</script>'
        f'<body style="margin:0">{frames}</body>'
    )
    shown = dumped(f"file://{folder / 'frame.html'}", folder, max(widths))
    found = re.search(r"TOLD(.*)DLOT", shown, re.DOTALL)
    assert found, shown[-2000:]
    return {int(width): told for width, told in json.loads(html.unescape(found[1])).items()}


def dumped(address: str, folder: Path, width: int = WIDTHS[0]) -> str:
    """A page as the browser holds it after its scripts have run."""
    assert BROWSER
    return subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'browser'}",
            "--virtual-time-budget=20000",
            f"--window-size={width},900",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    ).stdout


def messy() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Sixty runs of as many sizes, one of which diverged, and held-out runs."""
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9.5, 60), 10 ** rng.uniform(9, 11, 60)
    table = _with_losses(N, D, rng)
    table.loc[11, "loss"] = 9.8
    return table, {"held_out": "N > 1.5e9", "answer": {"budgets": [1e20, 1e21]}}


def isoflop() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Five budgets of seven sizes."""
    rng = np.random.default_rng(1)
    C = np.repeat(np.geomspace(1e17, 1e21, 5), 7)
    N = 0.6 * C**0.45 * np.tile(np.geomspace(0.3, 3, 7), 5)
    return _with_losses(N, C / (6 * N), rng), {}


def arms() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Two recipes on the same sizes and tokens."""
    rng = np.random.default_rng(2)
    N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    recipes = [
        _with_losses(N, D, rng, ratio).assign(recipe=name)
        for name, ratio in (("adamw", 1.0), ("muon with a long name", 0.985))
    ]
    table = pd.concat(recipes, ignore_index=True)
    return table.assign(run=[f"exp-{k}" for k in range(len(table))]), {}


def _with_losses(
    N: np.ndarray, D: np.ndarray, rng: np.random.Generator, ratio: float = 1.0
) -> pd.DataFrame:
    noise = np.exp(0.004 * rng.standard_normal(len(N)))
    loss = ratio * (1.7 + 400 / N**0.34 + 1800 / D**0.37) * noise
    names = [f"exp-{k}" for k in range(len(N))]
    return pd.DataFrame({"run": names, "N": N, "D": D, "loss": loss})


@pytest.fixture(scope="module", params=[messy, isoflop, arms], ids=lambda table: table.__name__)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of an imported table."""
    table, options = request.param()
    folder = tmp_path_factory.mktemp("report")
    table.to_csv(folder / "table.csv", index=False)
    imported = analysis.read_runs(folder / "table.csv")
    analysis.save_study(imported, folder, "table", question="How large?", **options)
    arm = "recipe" if "recipe" in table else None
    answer = analysis.answer_study(folder, "table", resamples=40, arm=arm)
    return report_html(answer)


@in_browser
def test_what_a_person_sees(report: str, tmp_path) -> None:
    is_seen_well(report, tmp_path)


@in_browser
def test_the_page_of_a_verdict_is_seen_as_well_and_an_address_opens_a_run(tmp_path) -> None:
    text = verdict_page(tmp_path)
    is_seen_well(text, tmp_path)
    assert "Yang, Greg" in text and r"\toprule" in text and ">The runs</h2>" in text
    (tmp_path / "page.html").write_text(text)
    opened = dumped(f"file://{tmp_path / 'page.html'}#run=exp-7", tmp_path)
    assert re.search(r"<dialog open.*run exp-7</a>", opened)
    assert "<dialog open" not in dumped(f"file://{tmp_path / 'page.html'}", tmp_path)


def is_seen_well(report: str, tmp_path: Path) -> None:
    """What holds of every page, in a wide window and on a telephone."""
    seen = look(report, tmp_path)
    assert sorted(seen) == sorted(WIDTHS)
    for width, told in seen.items():
        assert told["cut"] == [] and told["wide"] <= 0, width
        assert told["tables"] == [], width  # on a telephone too: rows are stacked, columns left out
        assert len(told["texts"]) >= 4 and all(len(own) > 5 for own in told["texts"])
        assert not overlaps(told["texts"]), width
        assert told["on_linear"]["cut"] == [] and not overlaps(told["on_linear"]["texts"]), width
        # The browser would have told: labels that the page does not have are seen.
        assert overlaps(told["broken"]["texts"]) and told["broken"]["cut"]
        assert "loss" in told["tip"] and "exp-" in told["tip"]
        # The drawer begins with what is asked of a run, not at its end.
        assert "run exp-" in told["drawer"] and told["opened"] == [0, True, "close"]
        assert "What differs between runs" in told["drawer"]
        assert told["off"] > 0 and told["linear"] == "logarithmic axes"
        hides = told["hides"]
        assert hides and min(hides.values()) >= 1, hides
        assert ("adamw" in hides) == ("adamw" in report)
        if "adamw" in hides:  # an arm: its points, its line, the dashed part and its band
            assert hides["adamw"] == hides["muon with a long name"] == 4
            assert hides["95% interval"] == hides["extrapolated"] == 2  # of both arms
        found, every, height = told["rows"]  # a long table is a window, whose rows can be searched
        assert 0 < len(found) < every and height < 600
        assert all("exp-1" in text and "2." in text for text in found)
        assert told["smallest"][0] >= SMALLEST, (width, told["smallest"])


def verdict_page(folder: Path) -> str:
    """Sweeps of the learning rate at three widths in four parametrizations."""
    rng, rows = np.random.default_rng(3), []
    for arm, drift in (("completep", 0.0), ("mup", 0.0), ("ntk", -0.5), ("sp", -1.0)):
        for width in (64, 128, 256):
            best = 0.01 * (width / 64) ** drift
            for lr in 0.01 * 4.0 ** np.arange(-4, 3):
                loss = 2.0 * np.exp(0.02 * np.log(lr / best) ** 2 + 0.002 * rng.standard_normal())
                sizes = {"width": width, "N": 12.0 * width**2, "D": 1e8, "seed": 0}
                rows.append({"model.parametrization": arm, "lr": lr, "loss": loss, **sizes})
    table = pd.DataFrame(rows).assign(run=[f"exp-{k}" for k in range(len(rows))])
    table.to_csv(folder / "table.csv", index=False)
    analysis.save_study(analysis.read_runs(folder / "table.csv"), folder, "table")
    runs = analysis.load(folder, study="table")
    verdict = Verdict(
        study="table",
        question="Does the best learning rate transfer?",
        outputs=folder,
        runs=runs,
        unfinished={},
        machines=pd.DataFrame(),
        arm="model.parametrization",
        finding=judge(runs),
    )
    return verdict_html(verdict)


def overlaps(figures: list[list[list[Any]]]) -> list[tuple[str, str]]:
    """Texts of one figure that lie upon each other."""
    pairs = []
    for own in figures:
        for i, (one, *a) in enumerate(own):
            for other, *b in own[i + 1 :]:
                across, down = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
                if across >= 2 and down >= 0.25 * min(a[3] - a[1], b[3] - b[1]):
                    pairs.append((one, other))
    return pairs


def test_the_page_is_whole_without_its_script_and_light(report: str) -> None:
    still = re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)
    assert still.count("<svg") >= 4 and ">training compute C = 6 N D (FLOPs)</text>" in still
    assert len(report.encode()) < 1_500_000


@in_browser
def test_paper_shows_every_column_and_figures_in_pairs(tmp_path) -> None:
    """Nothing can be scrolled or unfolded there."""
    taken = [Download("References", "study.bib", "@misc{study}")]
    screen = page("study", "", ["found"], ["careful"], wide_sections(), "out", downloads=taken)
    text = as_printed(screen)
    told = look(text, tmp_path, _PRINTED, [PAPER])[PAPER]
    assert told["cut"] == [] and told["broken"] == []
    assert "bpb" in told["text"] and "shown on demand" in told["text"]
    assert "refused, and why" in told["text"] and "@misc" not in told["text"]
    first, second, alone = told["figures"]
    assert first[1] == second[1] and first[2] <= second[0] < PAPER  # beside each other
    assert alone[2] - alone[0] <= PAPER / 2 <= told["captions"][2] + 10  # its caption beside it
    assert told["size"] < told["bold"]
    # The browser would have told: on a screen the same table goes on beyond the edge.
    assert look(screen, tmp_path, _PRINTED, [PAPER])[PAPER]["cut"]


def as_printed(text: str) -> str:
    """A page that a screen shows as paper would."""
    assert "@media print" in text
    return text.replace("@media screen", "@media speech").replace("@media print", "@media all")


def wide_sections() -> list[Section]:
    """A table as wide as that of trained runs, one with sentences, and figures."""
    count = 6
    runs = pd.DataFrame({"run_id": [f"ysgj764ur{k}" for k in range(count)]})
    for name in ("role", "status"):
        runs[name] = "held_out"
    for name in ("width", "depth", "seed"):
        runs[name] = 1024 + np.arange(count)
    for name in ("N", "n_total", "D", "C"):
        runs[name] = 12_345_678.0 * 3.0 ** np.arange(count)
    runs["schedule"] = "warmup_stable"
    for name in ("lr", "loss", "bpb", "seconds"):
        runs[name] = 1.23456 + np.arange(count)
    long = "refused: 0 budgets with a minimum: a power law needs two " * 2
    said = pd.DataFrame({"approach": ["2 IsoFLOP"] * 2, "found from": [long] * 2, "a": ["0.5"] * 2})
    on_demand = Details("more", "", pd.DataFrame({"x": ["shown on demand"]}))
    figures = [("A caption.", a_figure()) for _ in range(2)]
    return [
        Section("Runs", tables=[runs, said], figures=figures, listing="word " * 80),
        Section("More", details=on_demand, refused=["refused, and why"], figures=figures[:1]),
    ]


def a_figure() -> Any:
    """A figure of a report's size."""
    (ax,) = panels(WIDTH, 0.7)
    points(ax, pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0]}), "x", "y", "runs")
    return figure_of(finish(ax, "x (units)", "y (units)"))
