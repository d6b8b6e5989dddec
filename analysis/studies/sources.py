"""The worth of a token of each source: arms that differ in their data, on common validation sets.

Each arm is a pool, or a mixture of pools, and every run was validated on each pool's set. An arm
counts at its best learning rate on the set. On each set: how fast the loss falls with tokens (the
power of D alone, without a floor, within the lengths trained), how far an arm is from the arm of
the set's own pool, and how many tokens of that arm give its loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis import plot
from scalinglab.analysis.intervals.pairs import Paired, paired
from scalinglab.analysis.intervals.power import LEVEL, PLANNED_NOISE, Design
from scalinglab.analysis.intervals.together import together_in_words
from scalinglab.analysis.laws.mixing import SHARE
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings
from scalinglab.analysis.tables.typed import groups_of, names_of
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS
from scalinglab.scaling.errors import UserError

Array = np.ndarray


@VERDICTS.register("sources")
def judge(
    runs: pd.DataFrame,
    *,
    arm: str = "mixture",
    sets: list[str] | None = None,
    design: Design | None = None,
) -> Finding:
    """Judge runs of several sources by the validation set of each.

    Parameters
    ----------
    runs : DataFrame
        Columns ``share.<pool>, loss.<set>, N, D, lr, seed`` and `arm`; ``loss`` is infinite for
        diverged runs.
    arm : str
        Column that distinguishes the arms.
    sets : list of str, optional
        Validation sets; default: those on which every run was validated.
    design : Design, optional
        What the comparison can tell, by the noise that was planned.

    Raises
    ------
    UserError
        If there are no two arms, no common set, or one number of tokens only.
    """
    if arm not in runs or runs[arm].nunique() < 2:
        raise UserError(f"answer.kind = sources: the runs have one {arm}; it compares two or more")
    if runs["D"].nunique() < 2:
        raise UserError(
            "answer.kind = sources: all runs have as many tokens; two lengths are needed"
        )
    runs = runs.assign(_arm=_labels(runs, arm))
    noise = PLANNED_NOISE if design is None else design.noise
    is_ended = np.isfinite(runs["loss"].astype(float)) if "loss" in runs else runs["N"].notna()
    names = _sets(runs[is_ended], sets)
    sets_judged = [_on_set(runs, name, noise) for name in names]
    together = together_in_words(
        {
            f"{worth.arm} on {on_set.name}": worth.pair
            for on_set in sets_judged
            for worth in on_set.beside
        }
    )
    powers = pd.DataFrame([row for on_set in sets_judged for row in on_set.powers])
    worths = pd.DataFrame([row for on_set in sets_judged for row in on_set.rows()])
    return Finding(
        [
            *[sentence for on_set in sets_judged for sentence in on_set.sentences()],
            *filter(None, [together]),
        ],
        {
            "Loss of each arm on each set, at the most tokens": _losses(sets_judged),
            "Power of the tokens": powers,
            "Beside the set's own source": worths,
        },
        _figures(sets_judged),
        [warning for on_set in sets_judged for warning in on_set.warnings],
    )


@dataclass(frozen=True)
class _Beside:
    """An arm beside the reference on one set, at the most tokens."""

    arm: str
    pair: Paired
    worth: tuple[float, float, float]  # of its token in the reference's, with interval
    bound: str  # "less than", "more than" or "about" where the reference's lengths do not reach

    def told(self, reference: str) -> str:
        value, lower, upper = self.worth
        interval = f" ({lower:.2f} to {upper:.2f})" if np.isfinite([lower, upper]).all() else ""
        worth = f"{self.bound} {value:.2f}".strip() + interval
        return (
            f"{self.arm} {self.pair.verdict}, {self.pair.told()}, a token of it is worth {worth}"
            f" of {reference}'s"
        )


@dataclass(frozen=True)
class _OnSet:
    """What was found on one validation set."""

    name: str
    reference: str
    best: pd.DataFrame
    powers: list[dict[str, Any]]
    beside: list[_Beside]
    warnings: list[str]

    def sentences(self) -> list[str]:
        worths = "; ".join(worth.told(self.reference) for worth in self.beside)
        reference = next((row for row in self.powers if row["arm"] == self.reference), None)
        power = ""
        if reference is not None:
            between = f" ({reference['lower']:.3f} to {reference['upper']:.3f})"
            interval = (
                between if np.isfinite([reference["lower"], reference["upper"]]).all() else ""
            )
            power = f" (whose loss falls as D^-{reference['power']:.3f}{interval})"
        return [f"On {self.name}, beside {self.reference}{power}: {worths}."]

    def rows(self) -> list[dict[str, Any]]:
        rows_of_set = []
        for worth in self.beside:
            effect, lower, upper = worth.pair.relative
            rows_of_set.append(
                {
                    "set": self.name,
                    "reference": self.reference,
                    "arm": worth.arm,
                    "effect": effect,
                    "effect_lower": lower,
                    "effect_upper": upper,
                    "least": worth.pair.least,
                    "verdict": worth.pair.verdict,
                    "worth": worth.worth[0],
                    "worth_lower": worth.worth[1],
                    "worth_upper": worth.worth[2],
                    "worth_is": worth.bound or "measured",
                }
            )
        return rows_of_set


def _labels(runs: pd.DataFrame, arm: str) -> pd.Series:
    """An arm of one pool by the pool's name, others as they are."""
    labels = runs[arm].astype(str)
    for column in names_of(runs):
        if column.startswith(SHARE):
            labels = labels.mask(runs[column].fillna(0) > 1 - 1e-9, column.removeprefix(SHARE))
    return labels


def _sets(runs: pd.DataFrame, names: list[str] | None) -> list[str]:
    available = [
        c.removeprefix(FURTHER_LOSS)
        for c in names_of(runs)
        if c.startswith(FURTHER_LOSS) and runs[c].notna().all()
    ]
    for name in names or []:
        if name not in available:
            raise UserError(
                f"sets: not every run was validated on {name!r}; there are:"
                f" {', '.join(available) or 'none'}"
            )
    if not available:
        raise UserError(
            "answer.kind = sources: there is no validation set on which all runs were validated; "
            "data.pools with one weight of 1 gives each run the sets of all pools, "
            "execution.validate names others"
        )
    if names:
        return names
    first: dict[tuple[float, ...], str] = {}  # one of those that hold the same text
    for name in available:
        first.setdefault(tuple(runs[f"{FURTHER_LOSS}{name}"]), name)
    return list(first.values())


def _on_set(runs: pd.DataFrame, name: str, noise: float) -> _OnSet:
    best = at_best_lr(runs, ["_arm", "N", "D"], f"{FURTHER_LOSS}{name}")
    best = best.assign(log=np.log(best[f"{FURTHER_LOSS}{name}"]))
    longest = best[best["D"] == best["D"].max()]
    means = longest.groupby("_arm")["log"].mean()
    reference = name if name in means.index else str(means.idxmin())
    powers = [_power(name, str(arm), arm_runs) for arm, arm_runs in groups_of(best, "_arm")]
    beside = []
    for arm in sorted(set(means.index) - {reference}, key=lambda a: float(means[a])):
        arm_runs, base = (
            longest[longest["_arm"] == a].pivot_table("log", "N", "seed").dropna(axis="columns")
            for a in (arm, reference)
        )
        seeds, sizes = (
            arm_runs.columns.intersection(base.columns),
            arm_runs.index.intersection(base.index),
        )
        if not len(seeds) or not len(sizes):
            continue
        differences = (arm_runs.loc[sizes, seeds] - base.loc[sizes, seeds]).to_numpy()
        curves = best[best["_arm"] == reference]
        beside.append(
            _Beside(
                str(arm),
                paired(differences, noise),
                *_worth(arm_runs.loc[sizes, seeds], curves),
            )
        )
    edges = edge_warnings(
        runs, ["_arm", "N", "D"], "arms, sizes and lengths", f"{FURTHER_LOSS}{name}", f"on {name} "
    )
    return _OnSet(name, reference, best, powers, beside, edges)


def _power(name: str, arm: str, arm_runs: pd.DataFrame) -> dict[str, Any]:
    """The mean over sizes and seeds of each pair's slope: its lengths may share their beginning."""
    slopes = []
    for _, curve in groups_of(arm_runs, ["N", "seed"]):
        if curve["D"].nunique() > 1:
            slopes.append(-np.polyfit(np.log(curve["D"]), curve["log"], 1)[0])
    mean, lower, upper = _interval(np.array(slopes))
    return {"set": name, "arm": arm, "power": mean, "lower": lower, "upper": upper}


def _worth(
    arm_losses: pd.DataFrame, curves: pd.DataFrame
) -> tuple[tuple[float, float, float], str]:
    """Tokens of the reference for an arm's loss, over the most tokens; and on which side."""
    logs, below, beyond = [], 0, 0
    for size, row in arm_losses.iterrows():
        curve = curves[curves["N"] == size].groupby("D")["log"].mean()
        x, y = np.log(curve.index.to_numpy(float)), np.minimum.accumulate(curve.to_numpy())
        for value in row:
            below, beyond = below + int(value > y[0]), beyond + int(value < y[-1])
            logs.append(np.interp(-value, -y, x) - x[-1])
    mean, lower, upper = np.exp(_interval(np.array(logs)))
    if below or beyond:  # read at the end of the lengths: a mean of them is a bound
        bound = "about" if below and beyond else "less than" if below else "more than"
        return (float(mean), np.nan, np.nan), bound
    return (float(mean), float(lower), float(upper)), ""


def _interval(values: Array) -> tuple[float, float, float]:
    if len(values) < 2:
        return (float(values.mean()) if len(values) else np.nan), np.nan, np.nan
    mean = float(values.mean())
    half = stdtrit(len(values) - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / np.sqrt(len(values))
    return mean, mean - float(half), mean + float(half)


def _losses(sets_judged: list[_OnSet]) -> pd.DataFrame:
    columns = {}
    for on_set in sets_judged:
        longest = on_set.best[on_set.best["D"] == on_set.best["D"].max()]
        columns[on_set.name] = np.exp(longest.groupby("_arm")["log"].mean())
    table = pd.DataFrame(columns)
    return table.rename_axis("arm").reset_index()


def _figures(sets_judged: list[_OnSet]) -> list[Captioned]:
    """Loss against tokens by arm at the largest size, a figure a set."""
    figures = []
    for on_set in sets_judged:
        largest = on_set.best[on_set.best["N"] == on_set.best["N"].max()]
        shown = largest.assign(loss=np.exp(largest["log"]), arm=largest["_arm"])
        text = (
            f"On {on_set.name}, N = {short(largest['N'].iloc[0])}: loss of every run at the best"
            " learning rate, by arm. Lines: means over seeds."
        )
        figures.append((text, drawn(plot.measured_against, shown, "D", by="arm")))
    return figures
