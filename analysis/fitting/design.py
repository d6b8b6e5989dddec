"""Warnings about the points of a fit: confounded, mixed or unfinished measurements."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.tables.clusters import copied
from scalinglab.analysis.tables.exclusion import mid_schedule, unfinished
from scalinglab.analysis.tables.labels import differing_labels, label_sentences, row_name
from scalinglab.analysis.tables.mixed_recipes import RECIPE_COLUMNS, recipes_of
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.points import Points
from scalinglab.analysis.tables.runs import COUNTS_FROM
from scalinglab.analysis.tables.validation_sets import OWN, SET
from scalinglab.scaling.records.recipe import ladder_mismatch

_SCALES = ("N", "D", "C", "x")  # columns whose effect is a power law
_TOGETHER = 0.98  # correlation of the logarithms of two columns
_SAME_SIZE = 0.01  # relative difference
_FEW_SIZES = 3  # as many as a power law above a constant has parameters
_EVERY_ROW = 1e-6  # relative difference of numbers that are the same but for rounding

# Columns that say how something was counted or measured: one table should have one of each.
_MEASURES = {
    "vocab": "losses per token of different vocabularies do not compare",
    "tokenizer": "losses per token of different tokenizers do not compare",
    "context": "losses at different context lengths do not compare",
    "dataset": "losses on different data do not compare",
    SET: "losses on different validation sets do not compare",
    "loss_unit": "losses in different units do not compare",
    "n_count": "N is counted in different ways",
    "flops_convention": "C is counted in different ways",
}
# Largest values that are probably in millions: 1e5 would be 100 billion parameters, 1e6 be 1,000
# billion tokens.
_TINY = {"N": ("parameters", 1e5), "D": ("tokens", 1e6)}
_SIZES = ("n_block", "n_matmul", "n_total")


def point_warnings(law: Law, points: Points, data: pd.DataFrame, arm: str | None) -> list[str]:
    """Warnings about the points of a fit.

    Parameters
    ----------
    law : Law
    points : Points
    data : DataFrame
        The table that the points were read from, all its rows and columns; only rows that were
        fitted are judged.
    arm : str, optional
        The column that distinguishes arms, which may differ in recipes and measures.
    """
    read = list(data.attrs.get("notes", ()))  # decisions of the importer
    far = _far_repeats(points, data)
    data = as_floats(data.iloc[points.rows])
    if law.curve:
        return [*_unfinished(data), *read]
    return [
        *_copied(points, data),
        *far,
        *_confounded(points),
        *_few_sizes(points),
        *_units(law, points, data),
        *_unfinished(data),
        *_inside_a_schedule(points, data),
        *_some_annealed(data, arm),
        *_recipes(data, arm, points.renamed.values()),
        *_labels(points, data, arm),
        *_mixed_measures(points, data, arm),
        *_mixed_counts(points, data),
        *_stated_counts(points, data),
        *read,
    ]


def _scales(points: Points) -> dict[str, np.ndarray]:
    return {name: np.log(points.columns[name]) for name in _SCALES if name in points.columns}


def _copied(points: Points, data: pd.DataFrame) -> list[str]:
    copies = len(points) - len(np.unique(copied(points.columns, data)))
    if not copies:
        return []
    return [f"{copies} rows repeat others to the last digit: they are counted as one measurement"]


def _far_repeats(points: Points, data: pd.DataFrame) -> list[str]:
    if points.repeats is None:
        return []
    return points.repeats.sentences(lambda place: row_name(data, place))


def _confounded(points: Points) -> list[str]:
    sentences = []
    for (a, x), (b, y) in combinations(_scales(points).items(), 2):
        together = float(np.corrcoef(x, y)[0, 1])
        if abs(together) > _TOGETHER:
            sentences.append(
                f"{a} and {b} are confounded (correlation {together:.3f} of their logarithms): the"
                f" data cannot separate their effects; add runs of other {b} at the same {a}"
            )
    return sentences


def _few_sizes(points: Points) -> list[str]:
    sentences = []
    for name, column in _scales(points).items():
        steps = np.diff(np.sort(column))
        distinct = 1 + int((steps > _SAME_SIZE).sum())
        if distinct <= _FEW_SIZES:
            sentences.append(
                f"{name} has only {distinct} different values. Any three fit this law; use at "
                "least four"
            )
    return sentences


def _units(law: Law, points: Points, data: pd.DataFrame) -> list[str]:
    """A warning if numbers of parameters or tokens are so small that they may be in millions."""
    if "fingerprint" in data and data["fingerprint"].notna().any():
        return []
    sentences = []
    for name, (unit, most) in _TINY.items():
        if unit in law.inputs.get(name, "") and (top := points.columns[name].max()) < most:
            sentences.append(
                f"{name} is at most {top:.4g} {unit}. If it is given in thousands, millions or"
                f" billions, budgets are wrong by that factor: set columns.{name}='NAME * 1e6'"
            )
    return sentences


def _unfinished(data: pd.DataFrame) -> list[str]:
    """A warning if the table marks runs as unfinished."""
    count = int(unfinished(data).sum())
    if not count:
        return []
    return [
        f"{count} of {len(data)} rows come from unfinished runs. Their losses are too high, as the"
        " learning rate has not come down: exclude=['unfinished'] leaves them out"
    ]


def _inside_a_schedule(points: Points, data: pd.DataFrame) -> list[str]:
    """Several lengths of one run under a learning rate that falls with its own length."""
    rows = mid_schedule(data, points.renamed.get("D", points.renamed.get("x")))
    if not rows.any():
        return []
    run = "run_id" if "run_id" in data else "run"
    return [
        f"{data.loc[rows, run].nunique()} runs have points at several lengths of one schedule. The"
        " losses of all but the last are too high, as the learning rate has not come down:"
        " exclude=['mid_schedule'] leaves them out"
    ]


def _some_annealed(data: pd.DataFrame, arm: str | None) -> list[str]:
    """Points at a learning rate that never came down, among others where it did."""
    if "schedule" not in data or arm == "schedule":
        return []
    flat = int((data["schedule"].astype(str).str.lower() == "constant").sum())
    if not 0 < flat < len(data):
        return []
    return [
        f"{flat} of {len(data)} points end at a constant learning rate, the others after a decay:"
        " their losses do not compare; fit them apart"
    ]


def _recipes(data: pd.DataFrame, arm: str | None, read: Collection[str]) -> list[str]:
    """More recipes than one, in the words of a plan; of each arm where arms are told apart."""
    ladders = [data] if arm is None else [rows for _, rows in data.groupby(arm)]
    mixed = [
        ladder_mismatch(recipes_of(rows, column, read))
        for rows in ladders
        for column in RECIPE_COLUMNS
        if column in data and column != arm
    ]
    return [*dict.fromkeys(filter(None, mixed))]


def _labels(points: Points, data: pd.DataFrame, arm: str | None) -> list[str]:
    """Words by which rows differ that are the same to the law: a corpus, say."""
    keys = [points.renamed[name] for name in points.columns if name in points.renamed]
    but = (*RECIPE_COLUMNS, *_MEASURES, *points.renamed.values(), *([arm] if arm else []))
    return label_sentences(differing_labels(data, keys, but=but), keys)


def _mixed_measures(points: Points, data: pd.DataFrame, arm: str | None) -> list[str]:
    sentences = []
    named = not set(points.renamed.values()) & set(OWN)  # the loss on a set that a column names
    for column, reason in _MEASURES.items():
        if column not in data or column == arm or (column == SET and named):
            continue
        words = sorted({_word(value) for value in data[column].dropna().unique()})
        if len(words) > 1:
            few = ", ".join(words[:3]) + (" ..." if len(words) > 3 else "")
            sentences.append(f"column {column!r} has {len(words)} values ({few}): {reason}")
    return sentences


def _word(value: Any) -> str:
    """A value of a table as text; whole numbers without a point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _mixed_counts(points: Points, data: pd.DataFrame) -> list[str]:
    """Sizes or FLOPs that follow one convention in some rows and another in the rest."""
    sentences, read = [], set(points.renamed.values())
    if "N" in read and set(_SIZES) & set(data):
        counts = [c for c in _SIZES if c in data]
        same = {c: np.isclose(data["N"], data[c], rtol=_EVERY_ROW, atol=0) for c in counts}
        if not any(rows.all() for rows in same.values()):
            counts_used = [c for c, rows in same.items() if rows.any()]
            if len(counts_used) > 1:
                sentences.append(
                    f"N is {' in some rows, '.join(counts_used)} in others: use one count"
                )
    if "C" in read and {"N", "D", "C"} <= set(data):
        exact = np.isclose(data["C"], 6 * data["N"] * data["D"], rtol=_EVERY_ROW, atol=0)
        if 0 < exact.sum() < len(data):
            sentences.append(
                f"C is 6 N D in {int(exact.sum())} of {len(data)} rows and something else in the"
                " others: use one convention of FLOPs"
            )
    return sentences


def _stated_counts(points: Points, data: pd.DataFrame) -> list[str]:
    """That N or C is what a program gave, not what the configuration of its runs gives."""
    read = [name for name in ("N", "C") if name in points.renamed.values()]
    if not read or COUNTS_FROM not in data or data[COUNTS_FROM].isna().all():
        return []
    programs = data[COUNTS_FROM].dropna()
    names = ", ".join(repr(name) for name in sorted(programs.unique()))
    return [
        f"{' and '.join(read)} of {len(programs)} of {len(data)} runs are what the program {names} "
        "said it trained, where it said so, not what model.* of the study gives"
    ]
