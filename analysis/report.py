"""An answer as one self-contained HTML file: words, tables, figures; no script, no network."""

from __future__ import annotations

import html
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.answer import with_intervals
from scaling.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.answer import Answer

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.question { font-size: 1.1rem; color: #444; margin-top: 0; }
.answer { background: #f5f7f9; border-left: 4px solid #3b6ea5; padding: .3rem 1rem; }
.warning { background: #fff6e0; border-left: 4px solid #d69a00; padding: .3rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; }
th { text-align: left; border-bottom: 1px solid #888; font-weight: 600; }
th, td { padding: .15rem .8rem .15rem 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.number, th.number { text-align: right; }
pre { background: #f5f7f9; padding: .8rem; overflow-x: auto; font-size: 12.5px; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: 13px; } footer { color: #777; margin-top: 3rem; }
"""


def write_report(answer: Answer, path: str | Path) -> Path:
    """Write the report of an answer; replaces the file whole.

    Returns
    -------
    Path
        Where it was written.
    """
    path = Path(path)
    write_atomic(path.absolute(), report_html(answer))
    return path


def report_html(answer: Answer) -> str:
    """The report as a text."""
    sections = [
        _answer(answer), _warnings(answer), _figures(answer), _parameters(answer),
        _held_out(answer), _allocation(answer), _curves(answer), _runs(answer),
        _machines(answer),
    ]
    title = html.escape(answer.study)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}: scaling study</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1><p class='question'>{html.escape(answer.question)}</p>"
        + "\n".join(filter(None, sections))
        + f"<footer>Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from the records in "
        f"{html.escape(str(answer.outputs))}.</footer></body></html>\n"
    )


def _answer(answer: Answer) -> str:
    said = "".join(
        f"<p>{html.escape(s).replace(chr(10), '<br>')}</p>" for s in answer.sentences()
    )
    return f"<h2>The answer</h2><div class='answer'>{said}</div>"


def _warnings(answer: Answer) -> str:
    warnings = list(answer.law.warnings)
    if answer.allocation is not None:
        warnings += answer.allocation.warnings
    if answer.curve_law is not None:
        warnings += [f"curve law: {warning}" for warning in answer.curve_law.warnings]
    if not warnings:
        return ""
    said = "".join(f"<p>{html.escape(w)}</p>" for w in warnings)
    return f"<h2>What to be careful about</h2><div class='warning'>{said}</div>"


def _figures(answer: Answer) -> str:
    from analysis import figures

    drawn = [
        ("Loss against compute: each line is the law at one size, black is the best it gives at "
         "each C.", figures.loss_against_compute(answer)),
        ("Loss against parameters and against tokens: points are runs, lines the law.",
         figures.loss_against_size_and_tokens(answer)),
        ("Residuals.", figures.residuals(answer)),
        ("Validation curves under several schedules: dots measured, lines the curve law.",
         figures.curves(answer)),
    ]
    return "<h2>Figures</h2>" + "".join(
        f"<figure>{svg(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>"
        for caption, figure in drawn if figure is not None
    )


def svg(figure: Figure) -> str:
    """A figure as inline SVG; equal figures give equal text."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg"):]


def _parameters(answer: Answer) -> str:
    text = html.escape(answer.law.report())
    return (f"<h2>The law: {html.escape(answer.law.law.name)}</h2>"
            f"{_table(answer.law.summary.reset_index())}<pre>{text}</pre>")


def _held_out(answer: Answer) -> str:
    if answer.held_out.empty:
        return ""
    error = [f"{e:+.2%}" for e in answer.held_out["error"]]
    table = answer.held_out.drop(columns="C").assign(error=error)
    return f"<h2>Held out: predicted before, measured after</h2>{_table(table)}"


def _allocation(answer: Answer) -> str:
    if answer.allocation is None:
        return ""
    return (f"<h2>How to split a budget (C = 6 N D, N = n_matmul)</h2>"
            f"{_table(with_intervals(answer.allocation.table))}")


def _curves(answer: Answer) -> str:
    if answer.curve_law is None:
        return ""
    return (f"<h2>The curve law: {html.escape(answer.curve_law.law.name)}</h2>"
            f"{_table(answer.curve_check)}<pre>{html.escape(answer.curve_law.report())}</pre>")


def _runs(answer: Answer) -> str:
    shown = ["run_id", "role", "status", "width", "depth", "N", "n_total", "D", "C", "lr",
             "schedule", "seed", "loss", "bpb", "cluster", "seconds"]
    shown = [name for name in shown if answer.runs[name].notna().any()]
    runs = answer.runs[shown].rename(columns={"C": "C = 6 N D"})
    return f"<h2>The runs</h2>{_table(runs)}"


def _machines(answer: Answer) -> str:
    if answer.machines.empty:
        return ""
    return f"<h2>Machines and versions</h2>{_table(answer.machines)}"


def _table(frame: pd.DataFrame) -> str:
    """A data frame as an HTML table, numbers to the right."""
    numeric = [pd.api.types.is_numeric_dtype(frame[c]) and frame[c].dtype != bool for c in frame]
    head = "".join(_cell("th", str(name), n) for name, n in zip(frame, numeric, strict=True))
    rows = (
        "".join(_cell("td", _text(v), n) for v, n in zip(row, numeric, strict=True))
        for row in frame.itertuples(index=False)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (f"<div class='wide'><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>")


def _cell(tag: str, text: str, number: bool) -> str:
    kind = " class='number'" if number else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float):
        return "" if pd.isna(value) else re.sub(r"e\+0?", "e", f"{value:.5g}")
    return str(value)
