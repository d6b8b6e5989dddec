"""How often the interval of N* by the envelope holds the best size of a known surface.

    OMP_NUM_THREADS=1 python benchmarks/envelope.py [draws]

Losses of arXiv:2404.10102's surface with independent noise, at grids, ladders and IsoFLOP budgets;
and of the law that the study `quickstart` is planned by, at its runs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.decisions.cost_functions import SIX_ND
from scalinglab.analysis.decisions.power_line import PowerLine

SURFACE = {"E": 1.82, "A": 482.0, "alpha": 0.348, "B": 2085.0, "beta": 0.366}
QUICKSTART = {"E": 0.64, "A": 23.0, "alpha": 0.372, "B": 711.0, "beta": 0.525}


class Design(NamedTuple):
    """Where losses are drawn, and the budgets that are asked about."""

    name: str
    runs: list[tuple[float, float]]
    budgets: list[float]
    noise: float = 0.003
    law: dict[str, float] = SURFACE


def loss(N: pd.Series, D: pd.Series, law: dict[str, float]) -> pd.Series:
    """Loss of the surface."""
    return law["E"] + law["A"] / N ** law["alpha"] + law["B"] / D ** law["beta"]


def best_size(C: float, law: dict[str, float]) -> float:
    """N* of the surface for C = 6 N D."""
    alpha, beta = law["alpha"], law["beta"]
    start = (alpha * law["A"] / (beta * law["B"])) ** (1 / (alpha + beta))
    return float(start * (C / 6) ** (beta / (alpha + beta)))


def grid(low: float, high: float, sizes: int, budgets: int) -> list[tuple[float, float]]:
    """All sizes at all D from 3e8 to 3e10."""
    tokens = np.geomspace(3e8, 3e10, budgets)
    return [(n, d) for n in np.geomspace(low, high, sizes) for d in tokens]


def isoflop(sizes: int, budgets: int) -> list[tuple[float, float]]:
    """Sizes within a factor of five of the best one, of those that all budgets share."""
    shared, runs = np.geomspace(1e6, 3e10, sizes), []
    for C in np.geomspace(1e17, 1e21, budgets):
        best = best_size(C, SURFACE)
        runs += [(n, C / 6 / n) for n in shared if best / 5 < n < best * 5]
    return runs


def quickstart() -> list[tuple[float, float]]:
    """The runs of `conf/study/quickstart.yaml` that are fitted."""
    sizes, tokens = [10240, 32768, 67584, 114688, 174080], [2**k for k in (18, 19, 20, 21)]
    first = [(n, d) for n in sizes for d in tokens] + [(n, 2**22) for n in sizes[:4]]
    return first + 2 * [(n, d) for n in sizes[:3] for d in tokens]


DESIGNS = [
    Design("quickstart", quickstart(), [1e11, 3e11, 1e12], 0.009, QUICKSTART),
    Design("7 sizes x 6 D", grid(1e7, 3e9, 7, 6), [1e19, 1e20]),
    Design("15 sizes x 6 D", grid(1e7, 3e9, 15, 6), [1e19, 1e20]),
    Design("40 sizes x 10 D", grid(1e7, 3e9, 40, 10), [1e19, 1e20]),
    Design("8 whole curves", grid(1e7, 3e9, 8, 100), [1e19, 1e20], 0.001),
    Design(
        "6 sizes, 10 to 200 D/N",
        [(n, 20 * m * n) for n in np.geomspace(2e7, 1e9, 6) for m in (0.5, 1, 2, 5, 10)],
        [1e18, 1e19, 3e19],
    ),
    Design("IsoFLOP, 60 sizes, 6 budgets", isoflop(60, 6), [1e18, 1e19, 1e20]),
    Design("IsoFLOP, 30 sizes, 6 budgets", isoflop(30, 6), [1e18, 1e19, 1e20]),
    Design("IsoFLOP, 20 sizes, 9 budgets", isoflop(20, 9), [1e18, 1e19, 1e20]),
]


def answers(design: Design, draws: int) -> Iterable[list[dict[str, float]]]:
    """A row per budget for each draw of the losses that has an envelope."""
    runs = pd.DataFrame(design.runs, columns=["N", "D"], dtype=float)
    exact = loss(runs["N"], runs["D"], design.law)
    for seed in range(draws):
        noise = np.random.default_rng(seed).standard_normal(len(runs))
        found = analysis.envelope(runs.assign(loss=exact * np.exp(design.noise * noise)), seed=seed)
        if not found.refused:
            line = PowerLine.of(found.power)
            yield line.rows(np.array(design.budgets), SIX_ND, 0.95, resampled=True)


def main() -> None:
    """Print a row per design: its refusals, and what its intervals hold at each budget."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rows = []
    for design in DESIGNS:
        found = pd.DataFrame([row for rows in answers(design, draws) for row in rows])
        row = {"design": design.name, "refused": draws, "held": "", "width": "", "N / N*": ""}
        if len(found):
            truth = found["C"].map(lambda C, law=design.law: best_size(C, law))
            found["held"] = found["N_lower"].le(truth) & found["N_upper"].ge(truth)
            found["width"] = found["N_upper"] / found["N_lower"]
            found["N / N*"] = found["N"] / truth
            at = found.groupby("C")
            row["refused"] = draws - len(found) // len(design.budgets)
            row["held"] = ", ".join(f"{share:.0%}" for share in at["held"].mean())
            row["width"] = ", ".join(f"{x:.2f}" for x in at["width"].median())
            row["N / N*"] = ", ".join(f"{x:.2f}" for x in at["N / N*"].median())
        rows.append(row)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
