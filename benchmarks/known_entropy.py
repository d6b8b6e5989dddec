"""The fitted irreducible loss against the true entropy of the source.

    python benchmarks/known_entropy.py [outputs]

Trains the study `markov` (about twenty-five core-minutes; resumes an earlier call) and compares.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scalinglab import analysis


def main(outputs: str) -> None:
    """Launch, fit, print."""
    command = [
        sys.executable,
        "-m",
        "scalinglab.cli",
        "launch",
        "study=markov",
        f"outputs={outputs}",
    ]
    subprocess.run(command, check=True)
    runs = analysis.load(outputs, study="markov", role="fit")
    truth = runs["irreducible_loss"].iloc[0]
    result = analysis.fit("chinchilla", runs)
    low, high = result.interval("E")
    fitted = result.params["E"]
    print(f"true entropy of the evaluation windows {truth:.5f} nats/token")
    print(f"fitted E {fitted:.5f} ({fitted / truth - 1:+.2%})")
    print(
        f"95% interval {low:.5f} .. {high:.5f}, {(high - low) / fitted:.2%} wide, "
        f"{'contains' if low <= truth <= high else 'MISSES'} the true entropy"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else str(Path("outputs")))
