"""Counts and FLOPs of a finished run, whether our engine or a program trained it.

A program may have trained another network than the configuration describes, and says so in its
``final.json`` (docs/trainers.md). Its record then holds the counts that the program gave, and in
place of FLOPs by part one number under a name of `WHOLE`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from scalinglab.scaling.model.counts import N_COUNTS, ROLES

# What N may be, the one that is taken first where a program did not give the one that was asked.
SIZES = ("n_matmul", "n_active", "n_block", "n_total")
COUNTS = tuple(dict.fromkeys((*SIZES, *N_COUNTS, *ROLES)))
# FLOPs of a trained token as the program gave them, or by its counts: of what a token passes
# through where it gave that, else of the whole N.
WHOLE = STATED, BY_ACTIVE, BY_SIZE = ("program", "6 n_active D", "6 N D")


def n_counts(counts: Mapping[str, float]) -> dict[str, float]:
    """Each of `SIZES`, NaN where it is not known; a dense model is active as a whole.

    Records from before mixtures of experts do not hold ``n_active``: their models are dense.
    """
    sizes = {name: counts.get(name, math.nan) for name in SIZES}
    return sizes | {"n_active": counts.get("n_active", sizes["n_matmul"])}


def size_of(counts: Mapping[str, float], wanted: str = SIZES[0]) -> tuple[str, float]:
    """Name and value of the N that was asked for, or of the first of `SIZES` that is known."""
    sizes = n_counts(counts)
    known = [name for name in (wanted, *SIZES) if math.isfinite(sizes[name])]
    name = known[0] if known else wanted
    return name, sizes[name]


def size(counts: Mapping[str, float]) -> float:
    """The N that tables show: ``n_matmul`` where it is known."""
    return size_of(counts)[1]


def flops_of_counts(counts: Mapping[str, float]) -> dict[str, float]:
    """FLOPs of a trained token of a network of which the counts alone are known, by their name."""
    name, n = size_of(counts, "n_active")
    given = name == "n_active" and name in counts
    return {BY_ACTIVE if given else BY_SIZE: 6 * n}


def stated_convention(parts: Mapping[str, float], convention: str) -> str:
    """The convention of FLOPs: the requested one, unless a program gave them as a whole."""
    return next((name for name in WHOLE if name in parts), convention)
