"""The best size of the vocabulary for a model and a budget (arXiv 2407.13623).

A larger vocabulary makes fewer tokens of a text, and costs parameters and FLOPs that the rest of
the model does not get. Losses in nats per token of two vocabularies do not compare, so the law is
fitted to the loss less that of a unigram model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.studies.draw import panels
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings
from scalinglab.analysis.tables.typed import groups_of, records_of
from scalinglab.scaling.errors import UserError

_GRID = 200  # vocabularies between the smallest and the largest measured
_LEVEL = 0.95


@VERDICTS.register("vocabulary")
def judge(
    runs: pd.DataFrame,
    *,
    response: str = "unigram_loss",
    resamples: int = 300,
    delta: float | str | None = None,
) -> Finding:
    """Judge runs of several vocabularies by the law of 2407.13623.

    Parameters
    ----------
    runs : DataFrame
        ``n_block, width, vocab, D, C, bpb, unigram_loss, N_vocab``; of several LRs the best counts.
    response : str
        The loss less a unigram model's, by which learning rates are chosen: each tokenizer has
        a validation set of its own, of the same text.
    resamples : int
        Of the law, for the intervals.
    delta : float or str, optional
        Huber threshold of the fit, as in `analysis.fit`.

    Raises
    ------
    UserError
        If runs tell no unigram loss, or there are fewer than three vocabularies.
    """
    tried, runs = runs, runs[np.isfinite(runs["loss"].astype(float))]
    if response not in runs or runs[response].isna().any():
        raise UserError(
            "answer.kind = vocabulary: some runs have no unigram_loss; it comes from stores of"
            " documents (data=jsonl, folder, parquet, ...), built by this version"
        )
    if runs["vocab"].nunique() < 3:
        raise UserError(
            f"answer.kind = vocabulary: there are {runs['vocab'].nunique()} vocabularies; its law"
            " needs 3 or more (data.tokenizer.options.vocab)"
        )
    is_ended = np.isfinite(tried["loss"].astype(float))
    tried = tried.assign(**{response: tried[response].where(is_ended)}).reset_index(drop=True)
    cell = ["vocab", "width", "D"]
    best = at_best_lr(tried, cell, response)
    points = best.assign(N=best["n_block"])
    # As the law and the paper count: without attention to other tokens.
    points = points.assign(C=6 * (points["N"] + points["N_vocab"]) * points["D"])
    result = fit("vocabulary", points, resamples=resamples, seed=0, delta=delta)
    table = _best_vocabularies(result, points)
    measured = (int(points["vocab"].min()), int(points["vocab"].max()))
    lines = [
        (f"V {vocab:,}", vocabulary_points["C"], vocabulary_points["bpb"])
        for vocab, vocabulary_points in points.sort_values("C").groupby("vocab")
    ]
    figure = panels(
        [("", lines)], "training compute C = 6 (N + N_vocab) D (FLOPs)", "loss (bits per byte)"
    )
    return Finding(
        [_sentence(row, measured) for row in records_of(table)],
        {"Best vocabularies": table, "Parameters": result.summary.reset_index()},
        [("Loss in bits per byte against compute, by vocabulary.", figure)],
        [
            *edge_warnings(tried, cell, "vocabularies, sizes and lengths", response),
            *result.warnings,
        ],
    )


def _best_vocabularies(result: Result, points: pd.DataFrame) -> pd.DataFrame:
    """The vocabulary of the lowest loss for each size, at the largest budget that all had."""
    grid = np.geomspace(points["vocab"].min(), points["vocab"].max(), _GRID)
    rows = []
    for (width, N), cell in groups_of(points, ["width", "n_block"]):
        C = float(cell.groupby("vocab")["C"].max().min())
        sizes = pd.DataFrame({"N": N, "N_vocab": grid * width, "D": C / (6 * (N + grid * width))})
        losses = result.law.predict(result.params_and_draws(), result.law.read(sizes))
        best = grid[np.argmin(losses, axis=1)]
        lower, upper = quantiles(best[1:], _LEVEL)
        rows.append(
            {"width": width, "N": N, "C": C, "best": best[0], "lower": lower, "upper": upper}
        )
    return pd.DataFrame(rows)


def _sentence(row: dict[str, float], measured: tuple[int, int]) -> str:
    place = f"width {row['width']:,.0f}, C = {row['C']:.3g} FLOPs"
    least, most = measured
    inside = least * 1.02 < row["lower"] and row["upper"] < most / 1.02
    if not np.isfinite([row["lower"], row["upper"]]).all():
        return (
            f"{place}: not resolved; the best vocabulary is {row['best']:,.0f} by the law, without"
            f" an interval; measured were {least:,} to {most:,}"
        )
    if not inside:
        return (
            f"{place}: not resolved; the best vocabulary is {row['best']:,.0f} by the law, and its "
            f"interval ({row['lower']:,.0f} to {row['upper']:,.0f}) reaches an end of those "
            f"measured, {least:,} to {most:,}"
        )
    return (
        f"{place}: the best vocabulary is {row['best']:,.0f} ({row['lower']:,.0f} to "
        f"{row['upper']:,.0f})"
    )
