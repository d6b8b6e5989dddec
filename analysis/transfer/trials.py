"""Whether both arms were tuned alike, and which runs did not choose the best trial.

The best of many trials is partly luck: judged by the runs that chose it, the arm with more trials
wins. So a verdict uses only fresh seeds, which no other trial of that size has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.parabola import optimum, repeats
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import groups_of, records_of
from scalinglab.analysis.transfer.ladder_runs import ARM, SIZE

KNOBS = ("lr", "batch", "weight_decay")
_TUNED_SIZES = 2
_INNER = 3  # values without which no optimum lies inside a grid
_SIDES = 1.96


@dataclass(frozen=True)
class Trials:
    """The trials of two arms.

    Attributes
    ----------
    table : DataFrame
        One row an arm and size: ``arm, N, D, trials``, the settings of the best or rerun trial, and
        ``fresh``, its seeds that chose nothing.
    fresh : DataFrame
        The runs of those seeds.
    reasons : tuple of str
        Why the arms cannot be compared; empty where they were tuned alike.
    warnings : tuple of str
    """

    table: pd.DataFrame
    fresh: pd.DataFrame
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_trials(runs: pd.DataFrame, arms: Sequence[str], *, checked: bool) -> Trials:
    """The trials of both arms at each size.

    Parameters
    ----------
    runs : DataFrame
        From `ladder_runs`, with those of ``lr, batch, weight_decay`` that are known, and maybe
        ``role`` ("sweep": a trial) and ``fresh``, true for reruns of the chosen trial.
    arms : (str, str)
    checked : bool
        Whether equal numbers of trials are checked; otherwise they are assumed.
    """
    knobs = [k for k in KNOBS if k in runs and runs[k].nunique() > 1]
    runs = runs.assign(**{k: runs[k].fillna(0.0) for k in knobs})  # an optimizer without it
    rows, fresh, reasons, warnings = [], [], [], []
    cells: dict[tuple[str, int], pd.DataFrame] = {}
    for (arm, size), cell in groups_of(runs, [ARM, SIZE]):
        cells[arm, size] = cell
        chosen, reruns, warning = _chosen(cell, knobs)
        fresh.append(reruns)
        warnings += [f"{arm}, N {short(cell['N'].iloc[0])}: {warning}"] if warning else []
        rows.append(
            {"arm": arm, SIZE: size, "N": cell["N"].iloc[0], "D": cell["D"].iloc[0]}
            | {"trials": len(cell[knobs].drop_duplicates()) if knobs else 1}
            | chosen
            | {"fresh": sorted(int(seed) for seed in reruns["seed"].unique())}
        )
    table = pd.DataFrame(rows)
    if checked:
        reasons = _counts(table, arms)
        for arm in arms:
            for knob in knobs:
                reasons += _optimum(arm, knob, cells, table, [k for k in knobs if k != knob])
    return Trials(table, pd.concat(fresh, ignore_index=True), tuple(reasons), tuple(warnings))


def _chosen(cell: pd.DataFrame, knobs: Sequence[str]) -> tuple[dict[str, float], pd.DataFrame, str]:
    """The trial that counts at a size, its runs with fresh seeds, and a warning about them.

    A rerun trial counts, else the best one.
    """
    trial = cell.groupby(list(knobs)).ngroup() if knobs else pd.Series(0, cell.index)
    chose = _chose(cell, trial)
    means = np.log(cell["loss"][chose]).groupby(trial[chose]).mean()
    rerun = sorted(trial[~chose].unique())
    best = means.idxmin() if len(means) else rerun[0]
    chosen = (
        best if best in rerun or not rerun else means.reindex(rerun, fill_value=np.inf).idxmin()
    )
    settings = {k: float(cell.loc[trial == chosen, k].iloc[0]) for k in knobs}
    warning = ""
    if chosen != best and np.isfinite(excess := means.get(chosen, np.inf) - means[best]):
        warning = f"the rerun trial is not the best one: its loss is {np.expm1(excess):.2%} higher"
    return settings, cell[(trial == chosen) & ~chose], warning


def _chose(cell: pd.DataFrame, trial: pd.Series) -> pd.Series:
    """The runs that took part in the choice of a trial: by the table, else by their seeds."""
    if "fresh" in cell and cell["fresh"].notna().all():
        return ~cell["fresh"].astype(bool)
    if trial.nunique() == 1:
        return pd.Series(False, cell.index)
    trials_of_seed = trial.groupby(cell["seed"]).nunique()
    shared = cell["seed"].map(trials_of_seed) > 1
    swept = pd.Series(False, cell.index)
    if "role" in cell:
        swept = cell["role"].astype(str).str.split(",").map(lambda roles: "sweep" in roles)
    if not (shared | swept).any():  # every trial has seeds of its own
        return pd.Series(True, cell.index)
    return shared | swept


def _counts(table: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    wide = table.pivot_table(index=SIZE, columns="arm", values="trials")[list(arms)]
    reasons = []
    for size, row in wide[wide[arms[0]] != wide[arms[1]]].iterrows():
        N = table.loc[table[SIZE] == size, "N"].iloc[0]
        reasons.append(
            f"at N {short(N)} {arms[0]} had {row[arms[0]]:.0f} trials and {arms[1]}"
            f" {row[arms[1]]:.0f}: give both as many"
        )
    tuned = (wide.min(axis=1) >= _INNER).sum()
    if tuned < _TUNED_SIZES:
        reasons.append(
            f"both arms were tuned at {tuned} sizes: try at least {_INNER} values of lr (batch,"
            f" weight_decay) for each arm at {_TUNED_SIZES} sizes or more, or set tuning=elsewhere "
            "if that was done elsewhere"
        )
    return reasons


def _optimum(
    arm: str,
    knob: str,
    cells: dict[tuple[str, int], pd.DataFrame],
    table: pd.DataFrame,
    other_knobs: Sequence[str],
) -> list[str]:
    """Warnings about best values at the edge of a grid, or that move with size without a rule."""
    chosen_trials = table[table["arm"] == arm].set_index(SIZE)
    reasons, optima = [], {}
    for row in records_of(chosen_trials.reset_index()):
        size = row[SIZE]
        cell = cells[arm, size]
        for other_knob in other_knobs:  # along one knob, at the best of the others
            cell = cell[np.isclose(cell[other_knob], row[other_knob], rtol=1e-9)]
        cell = cell[cell[knob] > 0]
        values = cell.loc[np.isfinite(cell["loss"]), knob].nunique()
        if cell[knob].nunique() <= 1 or row[knob] == 0:  # 0: the natural end of a weight decay
            continue
        if values < _INNER:
            reasons.append(
                f"{arm}: {values} values of {knob} with a finite loss at N {short(row['N'])} show"
                f" no optimum inside a grid, {_INNER} would"
            )
            continue
        best = optimum(cell[knob], cell["loss"], scatter=repeats(cell, [knob]))
        if best.edge:
            reasons.append(f"{arm}, N {short(row['N'])}: {best.sentence(knob)}")
        else:
            steps = np.diff(np.sort(np.log(cell[knob].unique())))
            optima[size] = (best, float(np.median(steps)))
    if len(optima) >= 2 and not reasons:
        reasons += _moves(arm, knob, optima, chosen_trials)
    return reasons


def _moves(arm: str, knob: str, optima: dict, chosen_trials: pd.DataFrame) -> list[str]:
    """A warning if an optimum moves significantly while the chosen values follow no power of N."""
    low, high = min(optima), max(optima)
    (first, step), (last, _) = optima[low], optima[high]
    moved = abs(np.log(last.x / first.x))
    errors = [np.log(best.upper / best.lower) / (2 * _SIDES) for best in (first, last)]
    doubt = _SIDES * float(np.hypot(*errors))
    if moved <= max(step, 0.0 if np.isnan(doubt) else doubt):
        return []
    with np.errstate(divide="ignore"):
        chosen = np.log(chosen_trials[knob].to_numpy(float))
    log_n = np.log(chosen_trials["N"].to_numpy(float))
    varies = np.ptp(log_n) > 0
    line = np.polyval(np.polyfit(log_n, chosen, 1), log_n) if varies else chosen.mean()
    follows = np.ptp(chosen) > step / 2 and np.all(np.abs(chosen - line) <= step)
    if follows:
        return []
    return [
        f"{arm}: the best {knob} moves from {first.x:.3g} at N {short(chosen_trials['N'][low])} to"
        f" {last.x:.3g} "
        f"at N {short(chosen_trials['N'][high])}, and the values used "
        f"({', '.join(f'{v:.3g}' for v in chosen_trials[knob])})"
        " follow no power of N: no rule says what to use at the target"
    ]
