"""Labels of axes, with quantity and unit, and names of arms and columns as they are."""

from __future__ import annotations

from scalinglab.scaling.text.printable import one_line

COMPUTE = "training compute C = 6 N D (FLOPs)"
LOSS = "validation loss (nats/token)"
RATE = "learning rate"
SIZE = "model size N (parameters)"
STEP = "training step"
TOKENS = "training tokens D"
# Columns of a multiverse's shares -> what people read, also in its figure.
SHARES = {
    "own": "main effect",
    "whole": "total effect",
    "factor": "largest over smallest mean",
}


def literal(name: object) -> str:
    r"""A text that matplotlib shows as it is: no formula between dollars, and never left out.

    >>> literal("$x_1$")
    '\\$x_1\\$'
    """
    text = one_line(str(name)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text  # a legend leaves out what begins so
