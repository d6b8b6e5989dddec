"""Processor time and memory of a default fit as the table grows.

    OMP_NUM_THREADS=1 python benchmarks/growth.py

Each size is fitted in a separate process; its peak resident memory is printed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from scalinglab import analysis

ROWS = (100, 1_000, 10_000, 100_000)


def main() -> None:
    """Print a line for each size."""
    for rows in ROWS:
        line = subprocess.run(
            [sys.executable, __file__, str(rows)], check=True, capture_output=True, text=True
        )
        print(line.stdout, end="", flush=True)


def one(rows: int) -> None:
    """Fit this many rows and print time and memory."""
    rng = np.random.default_rng(0)
    N, ratio = np.exp(rng.uniform(np.log([[1e7], [3]]), np.log([[1e10], [300]]), (2, rows)))
    D = N * ratio
    loss = (1.82 + 480 / N**0.348 + 2090 / D**0.366) * np.exp(0.005 * rng.standard_normal(rows))
    runs = pd.DataFrame({"N": N, "D": D, "loss": loss})
    began = time.process_time()
    result = analysis.fit("chinchilla", runs)
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    low, high = result.interval("E")
    print(f"{rows:>7,} rows  {seconds:8.2f} s  {memory:5.2f} GiB  E {low:.4f} .. {high:.4f}")


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else one(int(sys.argv[1]))
