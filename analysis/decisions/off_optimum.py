"""The cost of splits off the optimum, and the compute or tokens that a target loss needs.

The loss is flat near the best split of a budget. These functions give the price, in loss and in
compute, of a split that suits the hardware or the cost of inference.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.allocation import need_surface
from scalinglab.analysis.decisions.cost_functions import SIX_ND, Cost
from scalinglab.analysis.decisions.optimum import best_split, least_budget, loss_at, tokens_for_loss
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.critical_batch import CRITICAL_BATCH_AT_LOSS, critical_batch_at
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.errors import UserError


def loss_left(
    result: Result, splits: pd.DataFrame, *, cost: Cost = SIX_ND, level: float = 0.95
) -> pd.DataFrame:
    """The loss of given splits beside that of the best splits of the same compute.

    Parameters
    ----------
    result : Result
        A fit of a law with columns N and D.
    splits : DataFrame
        With N and D, one row each.
    cost : callable
    level : float

    Returns
    -------
    DataFrame
        ``N, D, C``; ``loss``; ``best_loss``, the least loss for that C; ``left``, their difference;
        ``wasted``, the share of C that the best split would save at equal loss. Each with its
        interval, if the fit has resamples. ``inside``: within the fitted range.

    Raises
    ------
    UserError
        If a size or a number of tokens is not positive.
    """
    need_surface(result)
    params, rows = result.params_and_draws(), []
    for N, D in zip(splits["N"].to_numpy(float), splits["D"].to_numpy(float), strict=True):
        if not (np.isfinite([N, D]).all() and N > 0 and D > 0):
            raise UserError(f"a split must be positive numbers, not N = {N:g}, D = {D:g}")
        C = float(cost(np.array([N]), np.array([D]))[0])
        best_N, best_D = best_split(result.law, params, C, cost)
        loss = loss_at(result.law, params, np.array([[N]]), np.array([[D]]))[:, 0]
        best = loss_at(result.law, params, best_N[:, None], best_D[:, None])[:, 0]
        enough = least_budget(result.law, params, loss, cost)
        values = {"loss": loss, "best_loss": best, "left": loss - best, "wasted": 1 - enough / C}
        row = result.values_with_intervals(values, level)
        rows.append({"N": N, "D": D, "C": C, **row, "inside": _inside(result, N, D)})
    return pd.DataFrame(rows)


def cheapest(
    result: Result,
    losses: float | Iterable[float],
    *,
    cost: Cost = SIX_ND,
    level: float = 0.95,
) -> pd.DataFrame:
    """The least budget, with its N and D, that reaches each loss.

    Returns
    -------
    DataFrame
        ``target``; ``C, N, D, tokens_per_parameter``, each with its interval; ``reached``: the
        share of the resamples in which some budget reaches the loss. In the others the loss is
        below E: if they are many, C has no upper end, and N, D and D / N have no interval.
        ``inside``: within the fitted range.

    Raises
    ------
    UserError
        If no budget reaches a loss under the fitted law.
    """
    need_surface(result)
    params, rows = result.params_and_draws(), []
    for target in np.atleast_1d(np.asarray(losses, float)):
        C = least_budget(result.law, params, target, cost)
        if not np.isfinite(C[0]):
            raise UserError(f"no budget reaches a loss of {target:g}: the law does not go so low")
        N, D = best_split(result.law, params, C, cost)
        endless = np.where(np.isfinite(C), C, np.inf)
        values = {"C": endless, "N": N, "D": D, "tokens_per_parameter": D / N}
        row = result.values_with_intervals(values, level)
        reached = float(np.isfinite(C).mean())
        inside = _inside(result, N[0], D[0])
        rows.append({"target": target, **row, "reached": reached, "inside": inside})
    return pd.DataFrame(rows)


def tokens_to_loss(
    result: Result,
    N: float | Iterable[float],
    loss: float,
    *,
    batch: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Tokens on which models of given sizes reach a loss, and steps at a batch of `batch` tokens.

    Returns
    -------
    DataFrame
        ``N``; ``D`` (inf where no number of tokens is enough) and ``steps`` with their intervals;
        ``reached``: the share of the resamples in which some number is; ``inside``: within the
        fitted range.

    Raises
    ------
    UserError
        If the batch is not positive.
    """
    need_surface(result)
    if batch is not None and not batch > 0:
        raise UserError(f"batch = {batch!r} must be positive: tokens a step")
    params, rows = result.params_and_draws(), []
    for size in np.atleast_1d(np.asarray(N, float)):
        D = tokens_for_loss(result.law, params, size, loss)
        values = {"D": D} if batch is None else {"D": D, "steps": D / batch}
        row = result.values_with_intervals(values, level)
        reached = float(np.isfinite(D).mean())
        rows.append({"N": size, **row, "reached": reached, "inside": _inside(result, size, D[0])})
    return pd.DataFrame(rows)


def _inside(result: Result, N: float, D: float) -> bool:
    """Whether a size and a number of tokens were measured: each, their product and their ratio."""
    return bool(result.measured.inside({"N": np.array([N]), "D": np.array([D])})[0])


def outside_in_words(result: Result, table: pd.DataFrame) -> list[str]:
    """Where the rows of a table of this module lie outside what was measured, a sentence a row.

    Of rows with an ``N`` and a ``D`` that are numbers: no tokens at all reach some losses.
    """
    sentences = []
    for row in records_of(table[~table["inside"] & np.isfinite(table["D"])]):
        place = {name: np.array([row[name]]) for name in ("N", "D")}
        loss = f"loss {row['target']:.4g}: " if "target" in row else ""
        where = "; ".join(result.measured.outside(place))
        split = f"N = {short(row['N'])}, D = {short(row['D'])}"
        sentences.append(f"{loss}{split} is outside the fitted range: {where}")
    return sentences


def tokens_to_losses(
    result: Result,
    sizes: Iterable[float],
    losses: Iterable[float],
    *,
    batch: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """`tokens_to_loss` for several losses, as one table with the column ``target``."""
    tables = [
        tokens_to_loss(result, sizes, loss, batch=batch, level=level).assign(target=loss)
        for loss in losses
    ]
    return pd.concat(tables, ignore_index=True)


def critical_batch(
    result: Result, losses: float | Iterable[float], *, level: float = 0.95
) -> pd.DataFrame:
    """The critical batch at each loss: a larger one hardly reduces the number of steps.

    B_crit(L) = B_star / L^(1 / alpha_B) of arXiv:2001.08361, equation 1.4. At it, a loss takes
    twice the fewest steps and twice the fewest tokens (arXiv:1812.06162).

    Parameters
    ----------
    result : Result
        A fit of a law that has the parameters of `CRITICAL_BATCH_AT_LOSS`.
    losses : float or list of float
        In nats per token.
    level : float
        Level of the intervals.

    Returns
    -------
    DataFrame
        ``loss``, ``critical_batch`` with its interval, in the unit of the fitted batches.

    Raises
    ------
    UserError
        If the law has no critical batch, or a loss is not positive or too far from the fitted ones.
    """
    needed = CRITICAL_BATCH_AT_LOSS.names
    if not set(needed) <= set(result.params):
        laws = [law.name for law in LAWS.values() if set(needed) <= set(law.names)]
        raise UserError(
            f"a critical batch needs a law with {' and '.join(needed)} ({', '.join(laws)});"
            f" {result.law.name} has {', '.join(result.params)}"
        )
    params = result.params_and_draws()
    names = result.law.names
    drawn = {name: params[:, names.index(name)] for name in needed}
    rows = []
    for loss in np.atleast_1d(np.asarray(losses, float)):
        if not loss > 0:
            raise UserError(f"a loss must be positive, not {loss:g}")
        with np.errstate(over="ignore"):
            batches = critical_batch_at(loss, **drawn)
        if not np.isfinite(batches).all():
            raise UserError(
                f"a loss of {loss:g} is too far from those that were fitted: its"
                " critical batch is beyond any number"
            )
        rows.append(
            {"loss": loss, **result.values_with_intervals({"critical_batch": batches}, level)}
        )
    return pd.DataFrame(rows)
