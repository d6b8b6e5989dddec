"""The cost of a training as a function of N and D, under which a budget is split.

Every cost is linear in the tokens: a cost per token and optionally a fixed cost of the model, such
as that of serving it. The optimiser relies on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.scaling.errors import UserError

Array = np.ndarray
Cost = Callable[[Array, Array], Array]

COSTS = ("6nd", "attention", "hours")
_TOKENS = 1e9  # D at which the cost per token is evaluated
_FORWARD = 1 / 3  # of the work of a trained token: 2 N of 6 N FLOPs


@dataclass(frozen=True)
class CostFunction:
    """A cost with a name.

    Attributes
    ----------
    name : str
        As a formula.
    unit : str
    of : callable
        ``of(N, D)``, rising in both and linear in D.
    """

    name: str
    unit: str
    of: Cost

    def __call__(self, N: Array, D: Array) -> Array:
        """The cost of training N parameters on D tokens, in `unit`."""
        return self.of(N, D)


SIX_ND = CostFunction("6 N D", "FLOPs", lambda N, D: 6 * N * D)
"""Training FLOPs as 6 N D (arXiv:2001.08361)."""


def with_attention(context: int, depth_width: Callable[[Array], Array]) -> CostFunction:
    """FLOPs with causal attention, 6 (N + L d T) per token.

    ``scalinglab.scaling.model.flops`` counts them so.

    Parameters
    ----------
    context : int
        T, tokens in a sequence.
    depth_width : callable
        L d for each N: `shape_by_aspect` or `shape_of_runs`.
    """
    return CostFunction(
        f"6 (N + L d T) D, T = {context}",
        "FLOPs",
        lambda N, D: 6 * (N + depth_width(N) * context) * D,
    )


def shape_by_aspect(aspect: float, vocab: int = 0) -> Callable[[Array], Array]:
    """L d of blocks of 12 d² parameters, d = aspect L, and V d for the unembedding.

    The one positive root of 12 aspect² L³ + V aspect L = N, by the hyperbolic form of Cardano's.
    """
    p = max(vocab, 1e-9) / (12 * aspect)  # L³ + p L = q

    def depth_width(N: Array) -> Array:
        q = N / (12 * aspect**2)
        L = 2 * np.sqrt(p / 3) * np.sinh(np.arcsinh(1.5 * q / p * np.sqrt(3 / p)) / 3)
        return aspect * L**2

    return depth_width


def shape_of_runs(runs: pd.DataFrame) -> Callable[[Array], Array]:
    """L d between and beyond the shapes of some runs: a power of N from each size to the next.

    Raises
    ------
    UserError
        If the runs have no N, depth and width, or fewer than two sizes.
    """
    _need(runs, ("N", "depth", "width"))
    sizes = runs.assign(at=runs["depth"] * runs["width"]).groupby("N")["at"].mean()
    if len(sizes) < 2:
        raise UserError(f"the shape of other sizes needs two sizes, the runs have {len(sizes)}")
    log_N, log_at = np.log(sizes.index.to_numpy(float)), np.log(sizes.to_numpy(float))

    def depth_width(N: Array) -> Array:
        log_size = np.log(N)
        piece = np.clip(np.searchsorted(log_N, log_size) - 1, 0, len(log_N) - 2)
        slope = np.diff(log_at)[piece] / np.diff(log_N)[piece]
        return np.exp(log_at[piece] + slope * (log_size - log_N[piece]))

    return depth_width


def measured_hours(runs: pd.DataFrame) -> CostFunction:
    """Device-hours from the throughput of some runs: (a + b N) D, a and b not negative.

    a is the cost of a token that does not depend on the model's size. The fit minimises relative
    errors of the seconds per token, and holds only for the devices and shapes of the runs.

    Raises
    ------
    UserError
        If the runs have no N and tokens_per_second.
    """
    # scipy.optimize takes .3 s to import: only this cost waits for it.
    from scipy.optimize import nnls

    _need(runs, ("N", "tokens_per_second"))
    timed = runs[runs["tokens_per_second"] > 0]
    if timed["N"].nunique() < 2:
        raise UserError(
            "measured hours need tokens_per_second of two sizes; the runs have"
            f" {timed['N'].nunique()}"
        )
    N = timed["N"].to_numpy(float)
    seconds = 1 / timed["tokens_per_second"].to_numpy(float)
    unit = N.max()
    basis = np.stack([np.ones_like(N), N / unit], axis=1) / seconds[:, None]
    (a, b), _ = nnls(basis, np.ones_like(N))
    b = b / unit
    return CostFunction(
        f"({a:.3g} + {b:.3g} N) D seconds, as measured",
        "device-hours",
        lambda N, D: (a + b * N) * D / 3600,
    )


def with_inference(cost: Cost, tokens: float) -> CostFunction:
    """A training cost plus that of `tokens` of inference.

    A token of inference is one forward pass, a third of a trained token: 2 N of 6 N FLOPs
    (arXiv:2401.00448, equation 2). The best model is then smaller and trained for longer.

    Raises
    ------
    UserError
        If `tokens` is negative.
    """
    if not tokens >= 0:
        raise UserError(f"inference tokens = {tokens!r} must not be negative")
    name = f"{getattr(cost, 'name', 'cost')} and {tokens:.3g} tokens of inference"
    return CostFunction(
        name,
        getattr(cost, "unit", ""),
        lambda N, D: cost(N, D) + _FORWARD * cost(N, np.array(tokens)),
    )


def per_token(cost: Cost, N: Array) -> tuple[Array, Array]:
    """The fixed cost of a model and its cost per token, for each N.

    Raises
    ------
    UserError
        If the cost is not linear in D or does not rise with it.
    """
    none, some, twice = (cost(N, d * np.ones_like(N)) for d in (0.0, _TOKENS, 2 * _TOKENS))
    each = (some - none) / _TOKENS
    if not np.allclose(twice - some, some - none, rtol=1e-6, equal_nan=True):
        raise UserError("cost(N, D) must be linear in D: so many units a token")
    if (each <= 0).any():
        raise UserError("cost(N, D) must rise with D")
    return none, each


def cost_in_words(cost: Cost) -> str:
    """The formula of a cost, and its unit."""
    if not isinstance(cost, CostFunction):
        return "a cost of your own"
    return f"{cost.name} ({cost.unit})" if cost.unit else cost.name


def _need(runs: pd.DataFrame, columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in runs:
            raise UserError(f"this cost needs the column {column!r} of the runs")


def named_cost(
    name: str,
    runs: pd.DataFrame,
    *,
    context: int | None = None,
    aspect: float = 64.0,
    inference_tokens: float = 0.0,
) -> CostFunction:
    """A cost by its name, with constants from the runs that a law was fitted to.

    Parameters
    ----------
    name : {"6nd", "attention", "hours"}
        6 N D; that and causal attention; device-hours at the throughput of the runs.
    runs : DataFrame
        With the columns that the cost reads.
    context : int, optional
        Tokens in a sequence, for "attention"; default: that of the runs.
    aspect : float
        Width over depth, for "attention" where the runs have no depth and width.
    inference_tokens : float
        Tokens that the model will serve, whose cost is added.

    Raises
    ------
    UserError
        If there is no such cost, or the runs lack a column that it needs.
    """
    if name not in COSTS:
        raise UserError(f"cost = {name!r} is not one of: {', '.join(COSTS)}")
    cost = SIX_ND
    if name == "hours":
        cost = measured_hours(runs)
    elif name == "attention":
        if context is None and "context" in runs:
            context = int(runs["context"].iloc[0])
        if context is None:
            raise UserError("context is not set; cost=attention needs the tokens in a sequence")
        shaped = {"depth", "width"} <= set(runs)
        cost = with_attention(context, shape_of_runs(runs) if shaped else shape_by_aspect(aspect))
    return with_inference(cost, inference_tokens) if inference_tokens else cost
