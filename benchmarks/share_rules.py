"""Rules that share a mixture among laws, tried on development sets alone.

    OMP_NUM_THREADS=1 python benchmarks/share_rules.py collect FOLDS.pickle [--only WORD]
    python benchmarks/share_rules.py score FOLDS.pickle

`law=auto` is at most 1.2 times the best law on 16 of 17 development sets, and on 4 of the 13 sets
that chose nothing. Why, and does another rule do better? Protocol, committed before a rule but the
present one was scored:

* Sets: those of role development alone, in four shapes: whole (12 published surfaces: of Porian's
  ten sweeps every other, since an entry counts once), thinned to 30 rows (`small_sets`), ladders of
  25 rows (`ladder_sets`), and made checkpoints (8). No test set is opened. The folds are those of `held_out.py`: the largest 1, 2 and 3 budgets held out.
* What an origin says of every law and window, and what each predicts of the held-out rows, is
  computed once and kept. A rule sees the former and gives one prediction a row.
* Score of a rule on a set: its RMS log error over all folds, floored at seed noise, over that of
  the best single law over all folds (`held_out.py`). Of a shape: the mean of the logarithms, first
  over the sets of an entry, then over entries.
* Rules (`FAMILIES`): the median of the laws in place of their mean; a prior of shares, which are
  those of the other entries, worth some points; no floor or another; the default law in so far as
  the origins cannot tell; less of the bias that the trend gives, shrunk by its standard error; a
  window only where the origins tell it from none, or windows averaged, or none; points that all
  laws which fit well name as outliers not scored; a farther question.
* A rule's constant is chosen on all entries but the one it is scored on, all shapes together.
* Adopted is a rule only if, so chosen, its score over all shapes is lower than the present rule's
  by 5 % or more, it is lower in at least three of the four shapes and in none higher by more than
  2 %, and it has no fewer sets within 1.2. Rules that win singly are also tried together.
* Then, and only then, the test sets are scored, once.

Second round, after the first, in which nothing won, was seen, and before it was scored: on ladders
scores of origins do not order laws at all (rank correlation .13), and a prior helped there (1.43 for
1.65) but gave laws far behind a share, which spoilt whole sets. So: the prior for laws within the
margin alone (`prior near`); no law with more than a quarter (a third, a fifth) as many parameters as
rows, but for the default (`few parameters`).

Where the excess comes from is asked in the same currency: the score of the present rule without
windows; with the shares that would have been best in each fold; with all weight on the law of
largest share; with equal shares.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from held_out import DEFAULT, LAWS
from scipy.optimize import nnls
from scoring import floored_rms
from share_folds import Fold, collect, development_sets

from scalinglab.analysis.choice.score import (
    FLOOR,
    MARGIN,
    NEAR,
    TOLD,
    HeldOut,
    log_densities,
    stacked,
    trend,
    win_share,
)
from scalinglab.analysis.laws import find

Array = np.ndarray

_STEPS = 200
_SUM_WEIGHT = 100.0  # of the equation that shares sum to 1
SETS_ROWS = {surface.name: len(surface.runs) for _, surface in development_sets("")}


@dataclass(frozen=True)
class Rule:
    """A rule of shares; the present one by default.

    Attributes
    ----------
    windows : float
        How sure the origins must be that a window beats none: 0 takes the best score as it is,
        above 1 takes none.
    averaged : bool
        Average the windows of a law by their likelihood, instead of one.
    floor, margin : float
        As in `scalinglab.analysis.choice.score`.
    prior : float
        How many points the shares of other entries are worth.
    lean : bool
        Give the default law what the origins cannot tell.
    median : bool
        Of the laws, by share.
    bias : float
        How much of the shrunk bias is taken off.
    no_far : bool
        Do not score points that all laws which fit well name as outliers.
    question : float
        Logarithm of how far beyond the question lies.
    near : bool
        The prior is for laws within the margin.
    rows_each : float
        Rows that a law needs for each of its parameters; the default law is always there.
    shares : str
        "stacked", "largest", "equal" or "best", which nobody could know.
    """

    windows: float = 0.0
    averaged: bool = False
    floor: float = FLOOR
    margin: float = MARGIN
    prior: float = 0.0
    lean: bool = False
    median: bool = False
    bias: float = 0.0
    no_far: bool = False
    question: float = NEAR
    near: bool = False
    rows_each: float = 0.0
    shares: str = "stacked"


PRESENT = Rule()
REASONS = {
    "present": PRESENT,
    "no windows": Rule(windows=2.0),
    "largest share alone": Rule(shares="largest"),
    "equal shares": Rule(shares="equal"),
    "best shares in hindsight": Rule(shares="best"),
    "best shares, no windows": Rule(shares="best", windows=2.0),
}
FAMILIES = {
    "median": [Rule(median=True)],
    "prior": [Rule(prior=p, floor=0.0) for p in (0.5, 1.0, 2.0, 4.0, 16.0, 1e6)],
    "floor": [Rule(floor=f) for f in (0.0, 0.02, 0.05, 0.2)],
    "margin": [Rule(margin=m) for m in (0.3, 0.75, 3.0, np.inf)],
    "lean": [Rule(lean=True)],
    "bias": [Rule(bias=b) for b in (0.5, 1.0)],
    "windows told": [Rule(windows=w) for w in (0.6, 0.8, 0.95, 2.0)],
    "windows averaged": [Rule(averaged=True)],
    "no far": [Rule(no_far=True)],
    "prior near": [Rule(prior=p, floor=0.0, near=True) for p in (0.25, 0.5, 1.0, 2.0, 4.0)],
    "few parameters": [Rule(rows_each=r) for r in (3.0, 4.0, 5.0)],
    "question": [Rule(question=float(np.log(q))) for q in (1.0, 4.0, 8.0)],
}


# ---- one fold


@dataclass(frozen=True)
class Candidates:
    """Each law with its window, or its windows averaged.

    Attributes
    ----------
    density : array, shape (laws, m)
    weights : array, shape (m,)
    ahead : array, shape (laws, h)
        Predicted - measured of the rows held out.
    effective : float
        How many independent points the origins come to.
    """

    density: Array
    weights: Array
    ahead: Array
    effective: float


def candidates_of(fold: Fold, rule: Rule) -> Candidates:
    """What the shares are decided by."""
    keep = ~fold.far if rule.no_far and not fold.far.all() else np.ones(len(fold.far), bool)
    held, cluster = _points(fold.held, keep), fold.cluster[keep]
    weights = held.weights(rule.question)
    by_cluster = np.bincount(cluster, weights)
    effective = 1 / float(by_cluster @ by_cluster)
    density, predicted = [], []
    for law in range(len(fold.laws)):
        windows = replace(held, error=fold.error[:, law][:, keep])
        of_window = log_densities(windows, weights, rule.question)
        allowed = fold.allowed[:, law]
        score = np.where(allowed, of_window @ weights, -np.inf)
        bias = _bias(windows, weights, rule)
        ahead = fold.ahead[:, law] - bias[:, None]
        if rule.averaged:
            likely = np.exp(effective * (score - score.max()))
            likely /= likely.sum()
            top = of_window.max(axis=0)
            density.append(np.log(likely @ np.exp(of_window - top)) + top)
            predicted.append(_mean(ahead, likely))
            continue
        at = int(np.argmax(score))
        if rule.windows > 0 and at:
            sure = win_share(of_window[at], of_window[0], weights, cluster)
            at = at if sure >= rule.windows else 0
        density.append(of_window[at])
        predicted.append(ahead[at])
    return Candidates(np.array(density), weights, np.array(predicted), effective)


def _points(held: HeldOut, keep: Array) -> HeldOut:
    return HeldOut(
        held.error[:, keep], np.unique(held.origin[keep], return_inverse=True)[1], held.row[keep],
        held.distance[keep], held.below[keep], held.noise,
    )  # fmt: skip


def _bias(windows: HeldOut, weights: Array, rule: Rule) -> Array:
    """The part of the bias at the question that is taken off, (windows,)."""
    if not rule.bias:
        return np.zeros(len(windows.error))
    bias = trend(windows, weights, rule.question)
    squared = bias.value**2
    known = np.where(
        np.isfinite(bias.standard_error), squared / (squared + bias.standard_error**2), 0.0
    )
    return rule.bias * known * bias.value


def errors_of(fold: Fold, rule: Rule, prior: Mapping[str, float]) -> Array:
    """Predicted - measured of the rows held out."""
    if rule.rows_each:
        fold = _without_large_laws(fold, rule.rows_each)
    laws = len(fold.laws)
    if not fold.held.distance.size:
        return _mean(fold.ahead[0], np.full(laws, 1 / laws))
    candidates = candidates_of(fold, rule)
    shares = _shares(fold, rule, candidates, prior)
    if rule.median:
        return _median(candidates.ahead, shares)
    return _mean(candidates.ahead, shares)


def _without_large_laws(fold: Fold, rows_each: float) -> Fold:
    rows = SETS_ROWS[fold.set] - fold.ahead.shape[2]
    kept = [
        k
        for k, law in enumerate(fold.laws)
        if law == DEFAULT or len(find(law).names) * rows_each <= rows
    ]
    return replace(
        fold,
        laws=tuple(fold.laws[k] for k in kept),
        error=fold.error[:, kept],
        allowed=fold.allowed[:, kept],
        ahead=fold.ahead[:, kept],
        held=fold.held.of(kept),
    )


def _shares(fold: Fold, rule: Rule, candidates: Candidates, prior: Mapping[str, float]) -> Array:
    density, weights = candidates.density, candidates.weights
    if rule.shares == "equal":
        return np.full(len(density), 1 / len(density))
    if rule.shares == "best":
        return _best_shares(candidates.ahead)
    if rule.prior:
        usual = np.array([prior[law] for law in fold.laws])
        if rule.near:
            score = density @ weights
            usual = np.where(score >= score.max() - rule.margin, usual, 0.0)
        shares = _with_prior(density, weights, usual, rule.prior, candidates.effective)
    else:
        shares = stacked(density, weights, rule.floor)
        near = density @ weights >= (density @ weights).max() - rule.margin
        if rule.margin != MARGIN:
            shares = _floored(density, weights, rule.floor, near)
    if rule.shares == "largest":
        return (np.arange(len(shares)) == np.argmax(shares)).astype(float)
    if rule.lean and DEFAULT in fold.laws:
        default = fold.laws.index(DEFAULT)
        best = int(np.argmax(density @ weights))
        sure = 1.0
        if best != default:
            sure = win_share(density[best], density[default], weights, fold.cluster)
        told = min(max((sure - 0.5) / (TOLD - 0.5), 0.0), 1.0)
        shares = told * shares + (1 - told) * (np.arange(len(shares)) == default)
    return shares


def _floored(density: Array, weights: Array, floor: float, near: Array) -> Array:
    shares = _with_prior(density, weights, np.ones(len(density)), 0.0, 1.0)
    shares = np.where(near, np.maximum(shares, min(floor, 1 / len(shares))), 0)
    return shares / shares.sum()


def _with_prior(
    density: Array, weights: Array, usual: Array, points: float, effective: float
) -> Array:
    """Stacked shares whose prior is worth some points (a Dirichlet's mode), (laws,)."""
    likely = np.exp(density - density.max(axis=0))
    usual = usual / usual.sum()
    shares = usual.copy()
    for _ in range(_STEPS):
        part = shares[:, None] * likely
        shares = effective * ((part / part.sum(axis=0)) @ weights) + points * usual
        shares /= shares.sum()
    return shares


def _best_shares(ahead: Array) -> Array:
    """Shares of the least squared error of the rows held out."""
    possible = np.isfinite(ahead).all(axis=1)
    shares = np.zeros(len(ahead))
    known = ahead[possible].T
    rows = np.vstack([known, np.full(known.shape[1], _SUM_WEIGHT)])
    shares[possible] = nnls(rows, np.append(np.zeros(len(known)), _SUM_WEIGHT))[0]
    return shares / shares.sum()


def _mean(ahead: Array, shares: Array) -> Array:
    some = shares > 0
    return shares[some] @ ahead[some]


def _median(ahead: Array, shares: Array) -> Array:
    order = np.argsort(ahead, axis=0)
    passed = np.cumsum(shares[order], axis=0) - shares[order] / 2
    sorted_ahead = np.take_along_axis(ahead, order, axis=0)
    return np.array(
        [
            np.interp(0.5, passed[:, j], np.where(np.isfinite(s), s, 10.0))
            for j, s in enumerate(sorted_ahead.T)
        ]
    )


# ---- sets and entries


Priors = Mapping[str, Mapping[str, float]]  # entry -> law -> its share in all other entries


def set_scores(folds: Sequence[Fold], rule: Rule, priors: Priors) -> pd.DataFrame:
    """Logarithm of the ratio to the best law, and to the default, of each set."""
    rows = []
    for name in dict.fromkeys(fold.set for fold in folds):
        some = [fold for fold in folds if fold.set == name]
        first = some[0]
        errors = np.concatenate([errors_of(f, rule, priors[f.entry]) for f in some])
        value = floored_rms(errors, first.noise)
        by_law = {
            law: floored_rms(np.concatenate([f.every[law] for f in some]), first.noise)
            for law in LAWS
            if all(law in f.every for f in some)
        }
        rows.append(
            {
                "set": name,
                "shape": first.shape,
                "entry": first.entry,
                "best": np.log(value / min(by_law.values())),
                "default": np.log(value / by_law[DEFAULT]),
            }
        )
    return pd.DataFrame(rows)


def usual_shares(folds: Sequence[Fold]) -> dict[str, dict[str, float]]:
    """Entry -> mean stacked share of each law over the folds of all other entries."""
    alone: dict[str, list[dict[str, float]]] = {}
    for fold in folds:
        if not fold.held.distance.size:
            continue
        candidates = candidates_of(fold, PRESENT)
        shares = stacked(candidates.density, candidates.weights, 0.0)
        alone.setdefault(fold.entry, []).append(dict(zip(fold.laws, shares, strict=True)))
    means = {entry: pd.DataFrame(rows).fillna(0).mean() for entry, rows in alone.items()}
    entries = dict.fromkeys(fold.entry for fold in folds)
    return {
        entry: {
            law: max(float(np.mean([m.get(law, 0) for e, m in means.items() if e != entry])), 0.02)
            for law in LAWS
        }
        for entry in entries
    }


def overall(scores: pd.DataFrame, by: str = "best") -> float:
    """Mean over sets of an entry and shape, then over entries, then over shapes."""
    return float(scores.groupby(["shape", "entry"])[by].mean().groupby("shape").mean().mean())


def chosen_crosswise(scored: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[int]]:
    """The scores of each entry by the constant that is best on all others."""
    parts, picks = [], []
    for entry in scored[0].entry.unique():
        others = [overall(scores[scores.entry != entry]) for scores in scored]
        picks.append(int(np.argmin(others)))
        parts.append(scored[picks[-1]][scored[picks[-1]].entry == entry])
    return pd.concat(parts), picks


def row_of(scores: pd.DataFrame) -> dict[str, object]:
    """A line of the tables: ratios by shape, over all, and how many sets are within 1.2."""
    of_shape = scores.groupby(["shape", "entry"])["best"].mean().groupby("shape").mean()
    within = scores["best"] <= np.log(1.2) + 1e-12
    return {
        **np.exp(of_shape).round(3).to_dict(),
        "all": round(float(np.exp(overall(scores))), 3),
        "over default": round(float(np.exp(overall(scores, "default"))), 3),
        "within 1.2": f"{within.sum()} of {len(scores)}",
        **{f"within, {k}": int(v.sum()) for k, v in within.groupby(scores["shape"])},
    }


def show(folds: Sequence[Fold]) -> None:
    """The reasons, and the rules chosen crosswise."""
    priors = usual_shares(folds)
    rows = {name: row_of(set_scores(folds, rule, priors)) for name, rule in REASONS.items()}
    present = set_scores(folds, PRESENT, priors)
    for name, rules in FAMILIES.items():
        scored = [present, *(set_scores(folds, rule, priors) for rule in rules)]
        for k, scores in enumerate(scored[1:]):
            rows[f"{name} {k}"] = row_of(scores)
        crosswise, picks = chosen_crosswise(scored)
        rows[f"{name}, crosswise"] = row_of(crosswise) | {"picks": picks}
    with pd.option_context("display.width", 1000, "display.max_columns", None):
        print(pd.DataFrame.from_dict(rows, orient="index").to_string())


def main() -> None:
    """Collect or score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("collect", "score"))
    parser.add_argument("folds", type=Path, help="file of the folds")
    parser.add_argument("--only", default="", help="only sets whose name has this in it")
    asked = parser.parse_args()
    if asked.what == "collect":
        collect(asked.folds, asked.only)
    else:
        show(pickle.loads(asked.folds.read_bytes()))


if __name__ == "__main__":
    main()
