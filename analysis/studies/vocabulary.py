"""The best size of the vocabulary for a model and a budget (arXiv 2407.13623).

A larger vocabulary makes fewer tokens of a text, and costs parameters and FLOPs that the rest of
the model does not get. So vocabularies are compared at equal FLOPs of each size, by bits per byte
of the text; between the lengths of a vocabulary the log loss is taken linear in log C. The law says
what lies between them. Losses in nats per token of two vocabularies do not compare, so it is fitted
to the loss less that of a unigram model.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.pairs import paired
from scalinglab.analysis.intervals.power import PLANNED_NOISE, Design
from scalinglab.analysis.intervals.spread import quantiles
from scalinglab.analysis.intervals.together import together_in_words
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings
from scalinglab.analysis.tables.typed import groups_of, records_of
from scalinglab.scaling.errors import UserError

_GRID = 200  # vocabularies between the smallest and the largest measured
_LEVEL = 0.95


@VERDICTS.register("vocabulary")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "vocab",
    response: str = "unigram_loss",
    resamples: int = 300,
    delta: float | str | None = None,
    design: Design | None = None,
) -> Finding:
    """Judge runs of several vocabularies at equal FLOPs, and by the law of 2407.13623.

    Parameters
    ----------
    runs : DataFrame
        ``n_block, width, D, C, bpb, unigram_loss, N_vocab, seed`` and `arm`; of several LRs the
        best counts.
    arm : str
        Column that distinguishes the vocabularies: their sizes.
    response : str
        The loss less a unigram model's, by which learning rates are chosen: each tokenizer has
        a validation set of its own, of the same text.
    resamples : int
        Of the law, for the intervals.
    delta : float or str, optional
        Huber threshold of the fit, as in `analysis.fit`.
    design : Design, optional
        What the comparison can tell, by the noise that was planned.

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
    if runs[arm].nunique() < 3:
        raise UserError(
            f"answer.kind = vocabulary: there are {runs[arm].nunique()} vocabularies; its law"
            " needs 3 or more (data.tokenizer.options.vocab)"
        )
    is_ended = np.isfinite(tried["loss"].astype(float))
    tried = tried.assign(**{response: tried[response].where(is_ended)}).reset_index(drop=True)
    cell = [arm, "width", "D"]
    points = at_best_lr(tried, cell, response)
    points = points.assign(N=points["n_block"], vocab=points[arm])
    # As the law and the paper count: without attention to other tokens.
    points = points.assign(C=6 * (points["N"] + points["N_vocab"]) * points["D"])
    noise = PLANNED_NOISE if design is None else design.noise
    compared, effects = _at_equal_flops(points, noise)
    # Without the recipe: the fit would warn that vocabularies differ in it, as they should.
    fitted = points.drop(columns=["recipe", "vocab"], errors="ignore")
    result = fit("vocabulary", fitted, resamples=resamples, seed=0, delta=delta)
    by_law = _best_vocabularies(result, points)
    measured = (int(points["vocab"].min()), int(points["vocab"].max()))
    return Finding(
        [*compared, *(_sentence(row, measured) for row in records_of(by_law))],
        {
            "At equal FLOPs": effects,
            "Best vocabularies by the law": by_law,
            "Parameters": result.summary.reset_index(),
        },
        _figures(points),
        [
            *edge_warnings(tried, cell, "vocabularies, sizes and lengths", response),
            *(f"the law: {warning}" for warning in result.warnings),
        ],
        sources=[result.law.source],
    )


def _at_equal_flops(points: pd.DataFrame, noise: float) -> tuple[list[str], pd.DataFrame]:
    """Each vocabulary beside that of the fewest bits per byte, at the most FLOPs that all had."""
    budgets = _budgets(points)
    tables = {
        int(vocab): np.stack([_log_bits(points, vocab, *budget) for budget in budgets.items()])
        for vocab in sorted(points["vocab"].unique())
    }
    shared = np.isfinite(np.stack([*tables.values()])).all(axis=(0, 1))  # seeds
    if not shared.any():
        return [
            "No seed has all widths and vocabularies with lengths on both sides of one budget:"
            " nothing compares at equal FLOPs."
        ], pd.DataFrame()
    least = min(tables, key=lambda vocab: float(tables[vocab][:, shared].mean()))
    pairs = {v: paired((logs - tables[least])[:, shared], noise) for v, logs in tables.items()}
    sentences, rows = [], []
    for vocab, logs in tables.items():
        pair = pairs[vocab]
        effect, lower, upper = pair.relative
        rows.append(
            {
                "vocab": vocab,
                "bits per byte": ", ".join(f"{np.exp(y):.4f}" for y in logs[:, shared].mean(1)),
                "beside": least,
                "effect": effect,
                "effect_lower": lower,
                "effect_upper": upper,
                "at each width": ", ".join(f"{np.expm1(y):+.2%}" for y in pair.by_size),
                "least": pair.least,
                "verdict": "" if vocab == least else pair.verdict,
            }
        )
        if vocab != least:
            below = "" if pair.resolved else f" (the least that is detected: {pair.least:.2%})"
            sentences.append(f"{vocab:,} {pair.verdict}{below}, {pair.told()}")
    at = ", ".join(f"{C:.3g} at width {width:,}" for width, C in budgets.items())
    ends = {
        min(tables): ", the smallest that was tried,",
        max(tables): ", the largest that was tried,",
    }
    together = together_in_words({f"{v:,}": pair for v, pair in pairs.items() if v != least})
    return [
        f"At equal FLOPs ({at}) the vocabulary of {least:,}{ends.get(least, '')} has the fewest"
        f" bits per byte; beside it {'; '.join(sentences)}.",
        *filter(None, [together]),
    ], pd.DataFrame(rows)


def _budgets(points: pd.DataFrame) -> dict[int, float]:
    """width -> the most FLOPs that every vocabulary was trained for."""
    return {
        int(width): float(cell.groupby("vocab")["C"].max().min())
        for width, cell in groups_of(points, "width")
    }


def _log_bits(points: pd.DataFrame, vocab: int, width: int, C: float) -> np.ndarray:
    """Log bits per byte of each seed at so many FLOPs; NaN of a seed without a length beside it."""
    cell = points[(points["vocab"] == vocab) & (points["width"] == width)]
    seeds = sorted(points["seed"].unique())
    table = cell.pivot_table("bpb", "C", "seed").reindex(columns=seeds)
    log_bits = np.log(table.to_numpy(float))
    log_budgets = np.log(table.index.to_numpy(float))
    return np.array(
        [np.interp(np.log(C), log_budgets, of_seed, left=np.nan) for of_seed in log_bits.T]
    )


def _figures(points: pd.DataFrame) -> list[Captioned]:
    """Bits per byte against compute by vocabulary, a figure a width."""
    text = "bits per byte of every run, by vocabulary. Lines: means over seeds."
    labels = ("training compute C = 6 (N + N_vocab) D (FLOPs)", "loss (bits per byte)")
    ordered = points.sort_values("vocab")
    return [
        (
            f"Width {width:,}: {text}",
            drawn(plot.measured_against, own, "C", "bpb", by="vocab", labels=labels),
        )
        for width, own in groups_of(ordered, "width")
    ]


def _best_vocabularies(result: Result, points: pd.DataFrame) -> pd.DataFrame:
    """The vocabulary of the lowest loss for each size, at the largest budget that all had."""
    grid = np.geomspace(points["vocab"].min(), points["vocab"].max(), _GRID)
    rows, budgets = [], _budgets(points)
    for width, N in points[["width", "n_block"]].drop_duplicates().sort_values("width").to_numpy():
        C = budgets[width]
        sizes = pd.DataFrame({"N": N, "N_vocab": grid * width, "D": C / (6 * (N + grid * width))})
        losses = result.law.predict(result.params_and_draws(), result.law.read(sizes))
        best = grid[np.argmin(losses, axis=1)]
        lower, upper = quantiles(best[1:], _LEVEL)
        rows.append(
            {"width": width, "N": N, "C": C, "best": best[0], "lower": lower, "upper": upper}
        )
    return pd.DataFrame(rows)


def _sentence(row: dict[str, float], measured: tuple[int, int]) -> str:
    place = f"By the law, width {row['width']:,.0f}, C = {row['C']:.3g} FLOPs"
    least, most = measured
    inside = least * 1.02 < row["lower"] and row["upper"] < most / 1.02
    if not np.isfinite([row["lower"], row["upper"]]).all():
        return (
            f"{place}: not resolved; the best vocabulary is {row['best']:,.0f}, without an"
            f" interval; measured were {least:,} to {most:,}"
        )
    if not inside:
        return (
            f"{place}: not resolved; the best vocabulary is {row['best']:,.0f}, and its "
            f"interval ({row['lower']:,.0f} to {row['upper']:,.0f}) reaches an end of those "
            f"measured, {least:,} to {most:,}"
        )
    return (
        f"{place}: the best vocabulary is {row['best']:,.0f} ({row['lower']:,.0f} to "
        f"{row['upper']:,.0f})"
    )
