"""Experts that count: a saturating count of a model's experts, shared by the laws of mixtures.

    1 / E_eff = 1 / (E - 1 + 1 / (1 / E_start - 1 / E_max)) + 1 / E_max

Clark et al. 2022 (arXiv:2202.01169): a model with one expert counts as E_start, for a router costs
something before it helps, and no number of experts counts as more than E_max.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.laws.parameter import Parameter

_MIDDLE = 30.0  # E_start stays below, E_max above: they must not cross

COLUMNS = {
    "n_active": "parameters that one token uses, those of the model with one expert",
    "experts": "experts of a routed layer, 1 for a dense model",
}
SATURATION = (
    Parameter(
        "E_start", (1.0, 6.0), "log", 0.1, _MIDDLE, "experts", "what one expert counts as, E_eff"
    ),
    Parameter(
        "E_max", (100.0, 1000.0), "log", 1.1 * _MIDDLE, 1e5, "experts", "most that E_eff can be"
    ),
)
# Starts of the two, for laws that solve for their other parameters at each.
TRIED = np.array(list(product((0.7, 2.0, 6.0), (60.0, 300.0, 3000.0)))).T


def effective_experts(E: Array, E_start: Array, E_max: Array) -> Array:
    """E_eff; broadcasts."""
    begin = 1 / (1 / E_start - 1 / E_max)
    return 1 / (1 / (E - 1 + begin) + 1 / E_max)


def experts_in_words() -> str:
    """The transformation, for the formula of a law."""
    return "1/E_eff = 1/(experts - 1 + 1/(1/E_start - 1/E_max)) + 1/E_max"
