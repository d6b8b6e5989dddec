"""Arms compared with baselines at equal numbers of parameters: the difference of their losses.

A network of experts passes a token through a part of its parameters, one with shared layers uses
each several times. So "equal size" has two meanings, and both are answered: equal n_active (equal
FLOPs of matrix products per token) and equal n_total (equal weights to store). If a baseline has no
model of that count, its log loss is interpolated between its two nearest sizes, linearly in log N;
beyond its sizes there is no comparison.

Each arm counts at its best learning rate, by the mean over seeds. Runs of one seed are pairs. An
effect is not resolved if its interval contains zero, or if it is below the least effect that the
design detects (`scalinglab.analysis.intervals.power`, by the planned noise, or that of the pairs if
it is larger).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis import plot
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.intervals.pairs import Paired, paired
from scalinglab.analysis.intervals.power import PLANNED_NOISE, Design
from scalinglab.analysis.intervals.together import together_in_words
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.law import Array
from scalinglab.analysis.reporting.drawn import Captioned, drawn
from scalinglab.analysis.reporting.verdict import VERDICTS, Finding
from scalinglab.analysis.tables.trials import at_best_lr, edge_warnings
from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.errors import UserError

COUNTS = {"n_active": "FLOPs", "n_total": "parameters"}  # what is equal where the count is
_NEAR = np.log(1.05)  # log N beyond the baseline's sizes that is allowed: a router adds about that
_RESAMPLES = 200


@VERDICTS.register("arms")
def judge(
    runs: pd.DataFrame,
    *,
    baselines: list[str],
    arm: str = "block",
    law: str = "",
    columns: dict[str, str] | None = None,
    delta: float | str | None = None,
    design: Design | None = None,
) -> Finding:
    """Judge each arm beside each baseline, at the largest number of tokens.

    Parameters
    ----------
    runs : DataFrame
        ``N, D, lr, seed, loss`` (infinite where it diverged), ``n_active``, ``n_total`` and `arm`.
    baselines : list of str
        The arms beside which the others are held.
    arm : str
        Column that distinguishes the arms.
    law : str
        A law that is fitted to the best runs of all arms; none if empty.
    columns : dict, optional
        Columns of the law, where they have other names in the table.
    delta : float or str, optional
        Huber threshold of the fit, as in `analysis.fit`.
    design : Design, optional
        Which effects the comparison can detect, by the planned noise.

    Raises
    ------
    UserError
        If a baseline has no run, or there is nothing beside the baselines.
    """
    arms = sorted(map(str, runs[arm].unique()))
    for name in baselines:
        if name not in arms:
            raise UserError(f"baselines: {name!r} has no run; there are {', '.join(arms)}")
    candidates = [name for name in arms if name not in baselines]
    if not candidates or not baselines:
        raise UserError(f"baselines = {baselines}: arms are wanted beside them; there are {arms}")
    best = _best(runs, arm)
    longest = best[best["D"] == best["D"].max()]
    noise = PLANNED_NOISE if design is None else design.noise
    effects = [
        effect
        for key in product(candidates, baselines, COUNTS)
        if (effect := _effect(longest, *key, noise)) is not None
    ]
    # If both counts agree they are one question.
    questions = {(e.arm, e.baseline, e.pair.by_size.tobytes()): e for e in effects}
    together = together_in_words({effect.name: effect.pair for effect in questions.values()})
    fitted, warnings = _fitted(best, law, columns or {}, delta)
    warnings += [
        warning
        for name, own in groups_of(runs, arm)
        for warning in edge_warnings(own, ["N", "D"], "sizes and lengths", where=f"{name}: ")
    ]
    return Finding(
        [*[effect.sentence() for effect in effects], *filter(None, [together])]
        or ["No arm has the size of a baseline: nothing said."],
        {
            "Effects": pd.DataFrame([effect.row() for effect in effects]),
            "Best runs": _means(best, columns or {}),
            **fitted,
        },
        _figures(longest),
        warnings,
        sources=[find(law).source] if law else [],
    )


@dataclass(frozen=True)
class _Effect:
    """The log loss of an arm minus that of a baseline, at an equal count."""

    arm: str
    baseline: str
    count: str
    pair: Paired
    worth: float  # baseline's count for the arm's loss, over the arm's; at the largest size

    @property
    def name(self) -> str:
        """What the effect is called in a sentence."""
        return f"{self.arm} beside {self.baseline} at equal {self.count}"

    def sentence(self) -> str:
        pair = self.pair
        sizes = f"{len(pair.by_size)} size{'s' * (len(pair.by_size) != 1)}"
        worth = (
            f"; at the largest it is worth {self.worth:.2f} times its {self.count} in"
            f" {self.baseline}"
            if np.isfinite(self.worth) and pair.resolved
            else ""
        )
        effect = f"loss {pair.told()} over {sizes}{worth}"
        least = (
            f" (the least that these pairs detect: {pair.least:.2%})" if not pair.resolved else ""
        )
        return f"{self.name} (equal {COUNTS[self.count]}): {pair.verdict}{least}: {effect}."

    def row(self) -> dict[str, Any]:
        effect, lower, upper = self.pair.relative
        return {
            "arm": self.arm,
            "baseline": self.baseline,
            "equal": self.count,
            "sizes": len(self.pair.by_size),
            "effect": effect,
            "effect_lower": lower,
            "effect_upper": upper,
            "at each size": ", ".join(f"{np.expm1(y):+.2%}" for y in self.pair.by_size),
            "least": self.pair.least,
            "worth": self.worth,
            "verdict": self.pair.verdict,
        }


def _best(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The runs at the best learning rate of each arm, size and number of tokens."""
    best = at_best_lr(runs, [arm, "N", "D"]).reset_index(drop=True)
    if best.empty:
        raise UserError("every run diverged: there is nothing to compare")
    best = best.assign(_arm=best[arm].astype(str))
    return best.assign(log=np.log(best["loss"]))


def _table(best: pd.DataFrame, arm: str, count: str) -> pd.DataFrame:
    """Log loss of one arm: a row a size, by log count; a column a seed."""
    arm_runs = best[best["_arm"] == arm]
    table = arm_runs.assign(x=np.log(arm_runs[count])).pivot_table("log", "x", "seed")
    return table.dropna(axis="columns")


def _effect(
    best: pd.DataFrame, arm: str, baseline: str, count: str, noise: float
) -> _Effect | None:
    """None where the arm has no size that the baseline's sizes reach, or no seed in common."""
    arm_losses, base = _table(best, arm, count), _table(best, baseline, count)
    seeds = [seed for seed in arm_losses if seed in base]
    if not seeds:
        return None
    x = base.index.to_numpy()
    arm_losses = arm_losses[
        (arm_losses.index >= x[0] - _NEAR) & (arm_losses.index <= x[-1] + _NEAR)
    ][seeds]
    if arm_losses.empty:
        return None
    base_losses = np.stack(
        [_between(arm_losses.index.to_numpy(), x, base[seed].to_numpy()) for seed in seeds]
    )
    differences = arm_losses.to_numpy() - base_losses.T
    worth = _worth(
        arm_losses.index[-1], arm_losses.iloc[-1].mean(), x, base[seeds].mean(axis=1).to_numpy()
    )
    return _Effect(arm, baseline, count, paired(differences, noise), worth)


def _between(at: Array, x: Array, y: Array) -> Array:
    """A line between the two nearest points, or on from the last two."""
    if len(x) == 1:
        return np.full(len(at), y[0])
    left = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    slope = (y[left + 1] - y[left]) / (x[left + 1] - x[left])
    interpolated: Array = y[left] + slope * (at - x[left])
    return interpolated


def _worth(at: float, log_loss: float, x: Array, y: Array) -> float:
    """The baseline's count at a loss, over another; NaN where its sizes do not reach the loss."""
    if len(x) < 2 or not (np.diff(y) < 0).all() or not y[-1] <= log_loss <= y[0]:
        return np.nan
    return float(np.exp(np.interp(-log_loss, -y, x) - at))


def _means(best: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """One row an arm, size and number of tokens, with what a law reads."""
    named = ("n_active", "n_total", "n_block", "experts", "loops", *columns.values(), "lr")
    shown = [c for c in dict.fromkeys(named) if c in best and c not in ("N", "D", "loss")]
    means = best.groupby(["_arm", "N", "D"], as_index=False)[[*shown, "loss"]].mean()
    return means.rename(columns={"_arm": "arm"}).drop(columns="N")


def _fitted(
    best: pd.DataFrame, law: str, columns: dict[str, str], delta: float | str | None
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The law's parameters with intervals, and what it lacks."""
    if not law:
        return {}, []
    chosen_law = find(law)
    table = _means(best, columns)
    if "D" not in chosen_law.inputs:
        table = table[table["D"] == table["D"].max()]
    if len(table) <= len(chosen_law.parameters):
        count = f"{len(table)} points for {len(chosen_law.parameters)} parameters"
        return {}, [f"the law {law} is not fitted: {count}"]
    points = table.drop(columns="arm")
    result = fit(chosen_law, points, columns=columns, resamples=_RESAMPLES, seed=0, delta=delta)
    sentences = [f"the law {law}: {warning}" for warning in result.warnings]
    return {f"The law {law}: {chosen_law.formula}": result.summary.reset_index()}, sentences


def _figures(best: pd.DataFrame) -> list[Captioned]:
    """Loss against each count of parameters, by arm."""
    text = "loss of every run at the best learning rate. Lines: means over seeds."
    shown = best.assign(arm=best["_arm"])
    return [
        (
            f"{count} (equal {equal}): {text}",
            drawn(
                plot.measured_against, shown, count, by="arm", labels=(f"{count} (parameters)", "")
            ),
        )
        for count, equal in COUNTS.items()
    ]
