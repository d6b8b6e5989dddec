"""How often `compare_laws` tells laws apart on tables that one of them made.

    OMP_NUM_THREADS=1 python benchmarks/laws_told.py [tables]

Each table has 30 runs on Chinchilla's surface, with .3 or 1 % of noise; in every second one a run is
24 % off. The law that made them is there, a law of its family with one exponent (`overtrained`), one
of another form (`kaplan_nd`), and two that are wider. It should never be told from another law that
leads by luck; the law of another form should be.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.choice.score import TOLD

TRUE, OTHER_FORM = "chinchilla", "kaplan_nd"
LAWS = [TRUE, "farseer", "skaling", OTHER_FORM, "overtrained"]
FIRST_SEED = 300


def main() -> None:
    """Print a line a table, and how often each verdict was given."""
    tables = int(sys.argv[1]) if len(sys.argv) > 1 else 18
    others_lead = true_told = form_told = 0
    for seed in range(FIRST_SEED, FIRST_SEED + tables):
        runs, by = drawn(seed)
        behind = analysis.compare_laws(LAWS, runs, by=by, starts=16).table["behind"]
        others_lead += behind.index[0] != TRUE
        true_told += behind[TRUE] >= TOLD  # NaN where it leads
        form_told += behind[OTHER_FORM] >= TOLD
        shares = ", ".join(f"{law} {share:.0%}" for law, share in behind.iloc[1:].items())
        print(f"{seed}, by {by}: {behind.index[0]} leads; keeps its lead over {shares}", flush=True)
    print(
        f"{tables} tables: {TRUE}, which made them, is behind another law in {others_lead} and told"
        f" from it in {true_told}; {OTHER_FORM} is told from the best in {form_told}"
    )


def drawn(seed: int) -> tuple[pd.DataFrame, str]:
    """A table, and the column along which laws are compared."""
    rng = np.random.default_rng(seed)
    wild = int(rng.integers(30)) if seed % 2 else None
    noise, by = float(rng.choice([0.003, 0.01])), str(rng.choice(["N", "C"]))
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 6)))
    loss = 1.8172 + 482.01 / N**0.3478 + 2085.43 / D**0.3658
    loss *= np.exp(noise * np.random.default_rng(seed).standard_normal(30))
    if wild is not None:
        loss[wild] *= 1.24
    return pd.DataFrame({"N": N, "D": D, "C": 6 * N * D, "loss": loss}), by


if __name__ == "__main__":
    main()
