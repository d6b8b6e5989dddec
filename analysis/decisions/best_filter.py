"""Which part of a corpus to train on at a budget: from the law of pools of quality.

Filters of one score are nested: a stricter one keeps a part of what a laxer one keeps. Whatever a
filter adds to the next stricter one is a pool, so that each filter is a union of pools (arXiv
2404.07177).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.quality_pools import PART
from scalinglab.scaling.errors import UserError


def nested_pools(sizes: Mapping[str, float]) -> pd.DataFrame:
    """The pools of each of some nested filters, as columns of the law `quality_pools`.

    Parameters
    ----------
    sizes : mapping of str to float
        Filter -> tokens that it keeps; the strictest first.

    Returns
    -------
    DataFrame
        One row per filter, by its name: ``U`` and ``part.<filter>``, the share of the tokens that
        `filter` adds to those before it.

    Raises
    ------
    UserError
        If one does not keep more than the one before it.
    """
    kept_tokens = np.array(list(sizes.values()), float)
    added = np.diff(kept_tokens, prepend=0)
    if not (added > 0).all():
        raise UserError(
            "filters are wanted from the strictest on, each of which keeps more than the one before"
            f" it: {dict(sizes)}"
        )
    names = list(sizes)
    parts = np.tril(np.ones((len(kept_tokens), len(kept_tokens)))) * added / kept_tokens[:, None]
    table = pd.DataFrame(parts, index=names, columns=[f"{PART}{name}" for name in names])
    return table.assign(U=kept_tokens)


def best_filter(result: Result, sizes: Mapping[str, float], D: float) -> pd.DataFrame:
    """The loss of each of some nested filters at a number of tokens, by the law.

    Parameters
    ----------
    result : Result
        A fitted `quality_pools_law` of the filters' names.
    sizes : mapping of str to float
        As in `nested_pools`.
    D : float
        Tokens of the run, repetitions included.

    Returns
    -------
    DataFrame
        One row per filter: ``filter, tokens, epochs, loss, best`` (whether it is the best),
        ``best_in`` (the share of the resamples in which it is; NaN without resamples).
    """
    table = nested_pools(sizes).assign(D=float(D))
    losses = result.law.predict(result.params_and_draws(), result.law.read(table))
    chosen = np.argmin(losses, axis=1)
    count = len(table)
    shares = np.bincount(chosen[1:], minlength=count) / max(1, len(chosen) - 1)
    return pd.DataFrame(
        {
            "filter": table.index,
            "tokens": table["U"].to_numpy(),
            "epochs": D / table["U"].to_numpy(),
            "loss": losses[0],
            "best": np.arange(count) == chosen[0],
            "best_in": shares if len(chosen) > 1 else np.nan,
        }
    )
