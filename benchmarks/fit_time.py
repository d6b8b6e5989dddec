"""Processor time of a fit with intervals and of a comparison of two recipes, on synthetic runs.

    OMP_NUM_THREADS=1 python benchmarks/fit_time.py

To compare two versions of the code, run it in a checkout of each, in turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from scalinglab import analysis

ROUNDS = 7
NOISE = 0.005  # of log loss


def runs() -> pd.DataFrame:
    """240 runs on the surface of arXiv:2404.10102, rounded: 16 sizes, 15 ratios D/N."""
    size, ratio = np.meshgrid(np.geomspace(3e7, 3e9, 16), np.geomspace(2, 300, 15))
    table = pd.DataFrame({"N": size.ravel(), "D": (size * ratio).ravel()})
    noise = np.random.default_rng(0).standard_normal(len(table))
    loss = 1.82 + 482 / table["N"] ** 0.348 + 2085 / table["D"] ** 0.366
    return table.assign(loss=loss * np.exp(NOISE * noise))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print the median of some rounds of each."""
    table = runs()
    both = pd.concat(
        [table.assign(arm="a"), table.assign(arm="b", loss=0.98 * table["loss"])],
        ignore_index=True,
    )
    works: dict[str, Callable[[], object]] = {
        "fit, 1,000 resamples": lambda: analysis.fit("chinchilla", table, resamples=1000),
        "comparison, 500 resamples": lambda: analysis.compare_arms(both, arm="arm", resamples=500),
    }
    for name, work in works.items():
        work()  # imports
        print(f"{name}: {statistics.median(seconds(work) for _ in range(ROUNDS)):.3f} s")


if __name__ == "__main__":
    main()
