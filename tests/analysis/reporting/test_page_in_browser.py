"""Reports as a person sees them, in a real browser: text is text, apart, and not cut."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.reporting.report import report_html

BROWSER = next(
    (p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))),
    None,
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
# Asks the page what it shows: texts of figures with their places, what sticks out, what a hover says.
_LOOK = """
<script>
const told = {texts: [], cut: [], wide: document.documentElement.scrollWidth - innerWidth, tip: ""};
for (const figure of document.querySelectorAll("figure")) {
  const own = [];
  for (const text of figure.querySelectorAll("svg text")) {
    const box = text.getBoundingClientRect();
    if (!box.width) continue;
    own.push([text.textContent, box.left, box.top, box.right, box.bottom]);
    const frame = text.closest("svg").getBoundingClientRect();
    if (box.left < frame.left - 2 || box.right > frame.right + 2 || box.top < frame.top - 2
        || box.bottom > frame.bottom + 2) told.cut.push(text.textContent);
  }
  told.texts.push(own);
}
for (const element of document.querySelectorAll("h1, h2, p, li, figcaption, nav a, button")) {
  const box = element.getBoundingClientRect();
  if (box.width && (box.right > innerWidth + 1 || element.scrollWidth > element.clientWidth + 1)
      && getComputedStyle(element).display !== "inline") told.cut.push(element.textContent);
}
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
svg.dispatchEvent(new MouseEvent("click", at));
told.drawer = document.querySelector("dialog[open]") ? document.querySelector("dialog").textContent : "";
document.querySelector("dialog").close();
const entry = document.querySelector(".entry");
entry.dispatchEvent(new MouseEvent("click", {bubbles: true}));
told.off = document.querySelectorAll('svg [style*="display: none"]').length;
const button = document.querySelector("[data-scale]");
button.click();
told.linear = button.textContent;
parent.document.body.textContent = "TOLD" + JSON.stringify(told) + "DLOT";
</script>
"""


def look(page: str, width: int, folder: Path) -> dict:
    """What a browser says of a page in a window of some width."""
    whole = html.escape(page.replace("</body>", _LOOK + "</body>"), quote=True)
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{whole}"></iframe>'
    (folder / "frame.html").write_text(
        f'<meta charset="utf-8"><body style="margin:0">{frame}</body>'
    )
    shown = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'browser'}",
            "--virtual-time-budget=20000",
            f"--window-size={max(width, 500)},900",
            "--dump-dom",
            f"file://{folder / 'frame.html'}",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    ).stdout
    found = re.search(r"TOLD(.*)DLOT", shown, re.DOTALL)
    assert found, shown[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """Of a messy table: 40 runs of as many sizes, one of which diverged, and held-out runs."""
    folder, rng = tmp_path_factory.mktemp("messy"), np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9.5, 40), 10 ** rng.uniform(9, 11, 40)
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(0.004 * rng.standard_normal(40))
    loss[11] = 9.8
    table = pd.DataFrame({"run": [f"exp-{k}" for k in range(40)], "N": N, "D": D, "loss": loss})
    table.to_csv(folder / "messy.csv", index=False)
    imported = analysis.read_runs(folder / "messy.csv")
    how = {"held_out": "N > 1.5e9", "answer": {"budgets": [1e20, 1e21]}}
    analysis.save_study(imported, folder, "messy", question="How large?", **how)
    return report_html(analysis.answer_study(folder, "messy", resamples=40))


@pytest.mark.parametrize("width", [1400, 390])
def test_what_a_person_sees(report: str, width: int, tmp_path) -> None:
    told = look(report, width, tmp_path)
    assert told["cut"] == [] and told["wide"] <= 0
    assert len(told["texts"]) >= 8 and all(len(own) > 5 for own in told["texts"])
    for own in told["texts"]:
        for i, (one, *a) in enumerate(own):
            for other, *b in own[i + 1 :]:
                across, down = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
                assert across < 2 or down < 0.25 * min(a[3] - a[1], b[3] - b[1]), (one, other)
    assert "loss" in told["tip"] and "exp-" in told["tip"]
    assert "run exp-" in told["drawer"]
    assert told["off"] > 0 and told["linear"] == "logarithmic axes"


def test_the_page_is_whole_without_its_script_and_light(report: str) -> None:
    still = re.sub(r"<script.*?</script>", "", report, flags=re.DOTALL)
    assert still.count("<svg") >= 8 and ">training compute C = 6 N D (FLOPs)</text>" in still
    assert len(report.encode()) < 1_500_000
