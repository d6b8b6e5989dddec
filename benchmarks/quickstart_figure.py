"""The README's figure, after `make study`: the runs of the quickstart and their fitted law.

    python benchmarks/quickstart_figure.py [outputs]

Writes docs/quickstart.png.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scalinglab import analysis
from scalinglab.analysis import plot

BUDGETS = (1e11, 1e12, 1e13)  # the study's budgets


def main(outputs: str) -> None:
    """Fit the study's law as the report does, and draw it."""
    runs = analysis.load(outputs, study="quickstart")
    fitted = runs[runs["role"].str.contains("fit")]
    held_out = runs[runs["role"] == "held_out"]
    law = analysis.fit("chinchilla", fitted)
    ax = plot.axes(plot.PAGE)
    plot.loss_against_compute(law, fitted, held_out=held_out, budgets=BUDGETS, ax=ax)
    plot.save(ax, Path(__file__).parent.parent / "docs" / "quickstart", formats=("png",))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "outputs")
