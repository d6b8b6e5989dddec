"""Which setting of each arm is best, how sure that is, and how much the choice matters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.decisions.parabola import optimum
from analysis.reporting.verdict import Finding
from analysis.studies.draw import panels

SWEPT = "optimizer."


def judge(runs: pd.DataFrame, *, x: str = "lr") -> Finding:
    """The best setting of each block, by a parabola in `x` at the best of all other settings.

    Parameters
    ----------
    runs : DataFrame
        With ``block``, `x`, ``D``, ``loss`` and columns ``optimizer.*``.
    x : str
        The column that the parabola goes through.
    """
    longest = runs[runs["D"] == runs["D"].max()]  # halving: only whole runs compare
    rows, sentences, lines, warnings = [], [], [], []
    for block, arm in longest.groupby("block"):
        others = [c for c in arm if c.startswith(SWEPT) and arm[c].nunique(dropna=False) > 1]
        best = arm.loc[arm["loss"].idxmin()]
        line = arm[np.logical_and.reduce([arm[c] == best[c] for c in others])] if others else arm
        chosen = ", ".join(f"{c.removeprefix(SWEPT)} {best[c]:g}" for c in others)
        row = {"block": block, "runs": len(runs[runs["block"] == block]), "best loss": best["loss"],
               x: best[x], "others": chosen}
        try:
            found = optimum(line[x], line["loss"])
        except ValueError as error:
            sentences.append(f"{block}: best of {len(arm)} runs is {best['loss']:.4f} at {x} "
                             f"{best[x]:.3g}; no parabola: {error}")
        else:
            row |= {"optimum": found.x, "lower": found.lower, "upper": found.upper,
                    "excess at half": found.excess(found.x / 2)}
            sentences.append(f"{block}: {found.sentence(x)}" + (f", at {chosen}" if chosen else ""))
            if found.edge:
                warnings.append(f"{block}: the best {x} is at the edge of its grid")
        rows.append(row)
        ordered = line.sort_values(x)
        lines.append((str(block), ordered[x], ordered["loss"]))
    table = pd.DataFrame(rows).sort_values("best loss", ignore_index=True)
    if table["runs"].nunique() > 1:
        warnings.append("the arms had different budgets: " + ", ".join(
            f"{r.block} {r.runs} runs" for r in table.itertuples()))
    return Finding(sentences, {"Settings": table},
                   [("Loss against the LR at the best of all else.",
                     panels([("", lines)], x, "validation loss, nats/token"))], warnings)
