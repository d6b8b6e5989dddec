"""The best setting of each arm, its interval, and how much the choice matters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.decisions.parabola import optimum
from scalinglab.analysis.reporting.drawn import drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.typed import groups_of, lowest, names_of
from scalinglab.scaling.errors import UserError

SWEPT = "optimizer."
_LINES = (
    "Lines: the parabola of each block, with the interval of a run; diamonds: the optima with"
    " their intervals."
)


@VERDICTS.register("tune")
def judge(runs: pd.DataFrame, *, x: str = "lr") -> Finding:
    """The best setting of each block, by a parabola in `x` at the best of all other settings.

    Parameters
    ----------
    runs : DataFrame
        With ``block``, `x`, ``D``, ``loss`` and columns ``optimizer.*``. Where some have the role
        "sweep" only they are judged; of a block of several sizes ``N`` that of its best run is.
    x : str
        The column that the parabola goes through.
    """
    if "role" in runs and len(swept := with_role(runs, "sweep")):
        runs = swept
    longest = runs[runs["D"] == runs["D"].max()]  # halving: only whole runs compare
    arms, warnings = _of_one_size(dict(groups_of(longest, "block")))
    scatter = _scatter([_line(arm, x) for arm in arms.values()], x)
    rows, sentences, lines = [], [], []
    for block, arm in arms.items():
        best, line = lowest(arm, "loss"), _line(arm, x)
        chosen = ", ".join(f"{c.removeprefix(SWEPT)} {best[c]:g}" for c in _others(arm, x))
        row = {
            "block": block,
            "runs": int((runs["block"] == block).sum()),
            "best loss": best["loss"],
            x: best[x],
            "others": chosen,
        }
        try:
            line_optimum = optimum(line[x], line["loss"], scatter=scatter)
        except UserError as error:
            sentences.append(
                f"{block}: best of {len(arm)} runs is {best['loss']:.4f} at {x} "
                f"{best[x]:.3g}; no parabola: {error}"
            )
        else:
            row |= {
                "optimum": line_optimum.x,
                "lower": line_optimum.lower,
                "upper": line_optimum.upper,
                "excess at half": line_optimum.excess(line_optimum.x / 2),
            }
            sentences.append(
                f"{block}: {line_optimum.sentence(x)}" + (f", at {chosen}" if chosen else "")
            )
            if line_optimum.edge:
                warnings.append(f"{block}: the best {x} is at the edge of its grid")
        warnings += _edges(str(block), arm, best, x)
        rows.append(row)
        lines.append(line)
    table = pd.DataFrame(rows).sort_values("best loss", ignore_index=True)
    if table["runs"].nunique() > 1:
        warnings.append(
            "the arms differ in runs, as a search ends where a round changes nothing: "
            + ", ".join(f"{r.block} {r.runs}" for r in table.itertuples())
        )
    figure = drawn(
        plot.lr_basins, pd.concat(lines), x=x, by="block", scatter=dict.fromkeys(arms, scatter)
    )
    return Finding(
        sentences,
        {"Settings": table},
        [(f"Loss of every run against {x} at the best of all else, by block. {_LINES}", figure)],
        warnings,
    )


def _of_one_size(arms: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The runs of each arm that have the size of its best, and a sentence where others went."""
    sentences, chosen = [], {}
    for block, arm in arms.items():
        chosen[block] = arm
        if "N" in arm and arm["N"].nunique() > 1:
            best = lowest(arm, "loss")["N"]
            chosen[block] = arm[arm["N"] == best]
            sentences.append(
                f"{block}: of {arm['N'].nunique()} sizes only N = {best:,} is judged; give"
                " each a block of its own"
            )
    return chosen, sentences


def _others(arm: pd.DataFrame, x: str) -> list[str]:
    """The settings beside `x` that were varied."""
    return [
        c
        for c in names_of(arm)
        if c.startswith(SWEPT) and c != SWEPT + x and arm[c].nunique(dropna=False) > 1
    ]


def _line(arm: pd.DataFrame, x: str) -> pd.DataFrame:
    """The runs that have the best run's value of all other settings."""
    other_keys = _others(arm, x)
    best = lowest(arm, "loss")
    return (
        arm[np.logical_and.reduce([arm[c] == best[c] for c in other_keys])] if other_keys else arm
    )


def _scatter(lines: list[pd.DataFrame], x: str) -> float | None:
    """What the parabolas of all arms miss, pooled: one of them may miss little by luck.

    None for a single arm, and where none is known: each then has its own.
    """
    scatters = []
    for line in lines:
        try:
            scatters.append(optimum(line[x], line["loss"]).scatter)
        except UserError:
            continue
    finite = [s for s in scatters if np.isfinite(s)]
    return float(np.sqrt(np.mean(np.square(finite)))) if len(finite) > 1 else None


def _edges(block: str, arm: pd.DataFrame, best: pd.Series, x: str) -> list[str]:
    """Other settings whose best value is the end of three or more."""
    sentences = []
    for column in _others(arm, x):
        tried = arm[column].dropna()
        if tried.nunique() > 2 and best[column] in (tried.min(), tried.max()):
            end = "lowest" if best[column] == tried.min() else "highest"
            sentences.append(f"{block}: the best {column.removeprefix(SWEPT)} is the {end} tried")
    return sentences
