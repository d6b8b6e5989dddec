"""Which of several effects hold together: many questions, each at 95 %, find one of chance.

Holm's step-down (Scandinavian Journal of Statistics 6, 1979): the least chance is multiplied by the
number of effects, the next by one less, and so on. No independence is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scalinglab.analysis.intervals.pairs import Paired
from scalinglab.analysis.intervals.power import LEVEL

Array = np.ndarray


def chances_together(chances: Array) -> Array:
    """The chance of each of some effects that counts how many were looked at.

    Parameters
    ----------
    chances : array, shape (n,)
        Of an effect as large without any, each by itself; NaN counts as 1.

    Returns
    -------
    array, shape (n,)
        In the same order, at most 1.
    """
    alone = np.nan_to_num(np.asarray(chances, float), nan=1.0)
    order = np.argsort(alone, kind="stable")
    stepped = np.maximum.accumulate(alone[order] * np.arange(len(alone), 0, -1))
    together = np.empty_like(alone)
    together[order] = np.minimum(stepped, 1.0)
    return together


def together_in_words(pairs: Mapping[str, Paired]) -> str:
    """Which of the resolved effects hold together; nothing where one question was asked.

    Parameters
    ----------
    pairs : mapping
        What an effect is called in a sentence -> the effect.
    """
    resolved = [name for name, pair in pairs.items() if pair.resolved]
    if len(pairs) < 2 or not resolved:
        return ""
    chances = chances_together(np.array([pair.chance for pair in pairs.values()]))
    holds = dict(zip(pairs, chances <= 1 - LEVEL, strict=True))
    alone = [name for name in resolved if not holds[name]]
    intervals = f"Intervals are {LEVEL:.0%} each"
    if not alone:
        which = "what is resolved holds"
    elif len(alone) == len(resolved):
        which = "none of what is resolved holds"
    else:
        which = f"what is resolved holds, but for {'; '.join(alone)},"
    return f"{intervals}; {which} for all {len(pairs)} effects together as well (Holm)."
