"""Does the best learning rate of the smallest width serve a larger one, and at what price?

For each parametrization: the optimum at every width by a parabola, the power of the width that it
follows, and the regret of the base's optimum, in loss and in units of the noise between seeds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.decisions.parabola import Optimum, optimum, repeats
from analysis.reporting.verdict import Finding
from analysis.studies.draw import panels
from analysis.studies.exponent import exponent, said

_SIDES = 2 * 1.96  # of a 95 % interval, in standard errors


def judge(runs: pd.DataFrame, *, arm: str = "model.parametrization") -> Finding:
    """Judge a sweep of the LR at several widths.

    Parameters
    ----------
    runs : DataFrame
        ``width, lr, seed, loss`` (infinite where it diverged) and `arm`; without that column all
        runs are one arm.
    arm : str
        What tells the arms apart.
    """
    if arm not in runs:
        runs = runs.assign(**{arm: "sp"})
    runs = runs.assign(**{arm: runs[arm].fillna("sp")})
    noise = repeats(runs, [arm, "width", "lr"])
    rows, sentences, panes, warnings = [], [], [], []
    for name, own in runs.groupby(arm):
        found = {width: optimum(sweep["lr"], sweep["loss"], scatter=noise)
                 for width, sweep in own.groupby("width")}
        edges = [str(width) for width, best in found.items() if best.edge]
        if edges:
            warnings.append(f"{name}: the best LR is at the edge of the grid at width "
                            f"{', '.join(edges)}; its regret is not known there")
        rows += [_row(str(name), width, best, found, noise) for width, best in found.items()]
        sentences.append(_sentence(str(name), found, noise))
        panes.append((str(name), [
            (f"width {width}", *_mean(sweep)) for width, sweep in own.groupby("width")]))
    figure = panels(panes, "peak LR", "validation loss, nats/token")
    return Finding(sentences, {"Optima": pd.DataFrame(rows)},
                   [("Loss against LR, mean over seeds, at each width.", figure)], warnings)


def _mean(sweep: pd.DataFrame) -> tuple[pd.Index, pd.Series]:
    means = sweep.groupby("lr")["loss"].mean()
    return means.index, means


def _row(name: str, width: int, best: Optimum, found: dict[int, Optimum],
         noise: float | None) -> dict:
    regret = best.excess(found[min(found)].x)
    return {
        "arm": name, "width": width, "best lr": best.x, "lower": best.lower, "upper": best.upper,
        "loss": best.loss, "regret": regret,
        "regret / noise": regret / noise if noise else np.nan,
    }


def _sentence(name: str, found: dict[int, Optimum], noise: float | None) -> str:
    inner = {width: best for width, best in found.items() if not best.edge}
    base, top = min(found), max(found)
    if len(inner) < 2 or base not in inner or top not in inner:
        return f"{name}: the optimum lies inside the grid at too few widths for a verdict."
    errors = [np.log(b.upper / b.lower) / _SIDES for b in inner.values()]
    slope, error = exponent(list(inner), [b.x for b in inner.values()], errors)
    regret = float(found[top].excess(found[base].x))
    against = "" if not noise else (
        f", {regret / noise:.1f} times the noise between seeds ({noise:.2%})")
    flat = abs(slope) < 2 * error
    verdict = "transfers" if flat or (noise and regret < noise) else "does not transfer"
    return (
        f"{name}: the best LR {verdict}: it goes as width^{said(slope, error)}, and using that of "
        f"width {base} ({found[base].x:.3g}) at width {top} (best {found[top].x:.3g}) costs "
        f"{regret:.2%} of loss{against}."
    )
