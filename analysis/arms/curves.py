"""Whole curves of two arms: runs of one size, length, seed and schedule, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.curves import load_curves
from scalinglab.scaling.errors import UserError

_SAME = 1e-6  # of the peak: learning rates that differ by less are one schedule
_LATE = 0.5  # of a run: what comes before tells little
_PLATEAU = 0.99  # of the peak: above it the learning rate has not come down


def compare_arm_curves(
    curves: pd.DataFrame, *, arm: str = "arm", between: Sequence[str]
) -> pd.DataFrame:
    """Compare the curves of paired runs at all steps at which both were measured.

    Losses at one step of one schedule are comparable. Losses at two steps are comparable only while
    the learning rate has not come down, so the speed-up is computed there.

    Parameters
    ----------
    curves : DataFrame
        ``run, step, lr, loss`` (NaN where it was not measured), the arm, and where known ``N`` and
        ``seed``.
    arm : str
        Column that distinguishes the arms.
    between : (str, str)
        The baseline A and the other arm B.

    Returns
    -------
    DataFrame
        One row per step and pair: ``run_a, run_b, N, seed, step, share`` (of the run), ``lr_share``
        (of the peak), ``a, b`` (losses), ``ratio`` (b over a), and ``speed_up``: the step at which
        A has the loss that B has here, over this step; NaN off the plateau or beyond A's.

    Raises
    ------
    UserError
        If a column is missing, no two runs have one size, seed and schedule, or none of these were
        measured at one step.
    """
    for name in ("run", "step", "lr", "loss", arm):
        if name not in curves:
            raise UserError(f"curves: comparing arms needs the column {name!r}")
    tables = [_together(a, b) for a, b in _pairs(curves, arm, between)]
    if not tables:
        raise UserError(
            f"no run of {arm} = {between[0]!r} has the size, seed, length and shape of schedule of"
            f" one of {between[1]!r}: on the way, only equal schedules compare"
        )
    steps = pd.concat(tables, ignore_index=True)
    if steps.empty:
        raise UserError(
            f"{len(tables)} pairs of runs have one schedule, and no step at which both were"
            " measured: a probe reads more of them with steps=all"
        )
    return steps


def arm_curves(
    outputs: str | Path,
    studies: Sequence[str],
    runs: pd.DataFrame,
    between: Sequence[str],
    loss: str | None = None,
) -> pd.DataFrame | str | None:
    """Compare the curves of the runs of one study, or of two.

    Parameters
    ----------
    outputs, studies
        Where the runs lie.
    runs : DataFrame
        From `analysis.runs_by_arm`.
    between : (str, str)
    loss : str, optional
        A measured column that is taken as the loss, as in `analysis.load`.

    Returns
    -------
    DataFrame, str or None
        As `compare_arm_curves`; a sentence if no two curves are comparable; None without curves.
    """
    arms = dict(zip(runs["run_id"], runs["arm"].astype(str), strict=True))
    tables = [load_curves(outputs, study=name, run_ids=arms, loss=loss) for name in studies]
    tables = [t for t in tables if len(t) and "lr" in t]
    if not tables:
        return None
    curves = pd.concat(tables, ignore_index=True)
    try:
        return compare_arm_curves(curves.assign(arm=curves["run"].map(arms)), between=between)
    except UserError as error:
        return str(error)


def _pairs(
    curves: pd.DataFrame, arm: str, between: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Curves that differ in the arm alone; each run is used once."""
    sides = []
    if "seed" in curves and curves.groupby(curves[arm].astype(str))["seed"].agg(set).pipe(
        lambda seeds: not set.intersection(*(seeds.get(str(name), set()) for name in between))
    ):
        curves = curves.drop(columns="seed")  # it distinguishes the arms
    for name in between:
        arm_curves = curves[curves[arm].astype(str) == str(name)]
        sides.append(
            [rows.sort_values("step") for _, rows in arm_curves.groupby("run", sort=False)]
        )
    for curve_a in sides[0]:
        for k, curve_b in enumerate(sides[1]):
            if _alike(curve_a, curve_b):
                yield curve_a, sides[1].pop(k)
                break


def _alike(curve_a: pd.DataFrame, curve_b: pd.DataFrame) -> bool:
    for key in ("N", "seed"):
        if key in curve_a and curve_a[key].iloc[0] != curve_b[key].iloc[0]:
            return False
    if curve_a["step"].iloc[-1] != curve_b["step"].iloc[-1]:
        return False
    steps = np.union1d(curve_a["step"], curve_b["step"])
    shares = [np.interp(steps, c["step"], c["lr"] / c["lr"].max()) for c in (curve_a, curve_b)]
    return bool(np.abs(shares[0] - shares[1]).max() <= _SAME)


def _together(curve_a: pd.DataFrame, curve_b: pd.DataFrame) -> pd.DataFrame:
    last, peak = float(curve_a["step"].iloc[-1]), curve_a["lr"].max()
    both = curve_a.merge(curve_b[["step", "loss"]], on="step", suffixes=("", "_b"))
    both = both.dropna(subset=["loss", "loss_b"])
    table = pd.DataFrame(
        {
            "run_a": curve_a["run"].iloc[0],
            "run_b": curve_b["run"].iloc[0],
            "N": curve_a["N"].iloc[0] if "N" in curve_a else np.nan,
            "seed": curve_a["seed"].iloc[0] if "seed" in curve_a else np.nan,
            "step": both["step"],
            "share": both["step"] / last,
            "lr_share": both["lr"] / peak,
            "a": both["loss"],
            "b": both["loss_b"],
            "ratio": both["loss_b"] / both["loss"],
        }
    )
    plateau = curve_a[
        curve_a["loss"].notna() & (curve_a["lr"] >= _PLATEAU * peak) & (curve_a["step"] > 0)
    ]
    return table.assign(speed_up=_speed_up(table, plateau)).reset_index(drop=True)


def _speed_up(table: pd.DataFrame, plateau: pd.DataFrame) -> np.ndarray:
    """The step at which A has B's loss, over B's step, while neither has cooled down."""
    if len(plateau) < 2:
        return np.full(len(table), np.nan)
    falling = np.minimum.accumulate(plateau["loss"].to_numpy())
    then = np.exp(
        np.interp(
            -np.log(table["b"]),
            -np.log(falling),
            np.log(plateau["step"]),
            left=np.nan,
            right=np.nan,
        )
    )
    flat = (table["lr_share"] >= _PLATEAU) & (table["step"] > 0)
    return np.where(flat, then / np.maximum(table["step"], 1), np.nan)


def curves_in_words(curves: pd.DataFrame, arms: tuple[str, str]) -> str:
    """Whole curves of paired runs of two arms, in a few lines."""
    a, b = arms
    late = curves[curves["share"] >= _LATE]
    pairs = curves.groupby(["run_a", "run_b"]).ngroups
    below = (late["ratio"] < 1).mean()
    lines = [
        "[[Whole curves]]",
        f"    {pairs} pairs of one schedule, compared at {len(curves)} steps",
        f"    in the second half {b}'s loss is {late['ratio'].mean() - 1:+.2%} relative to {a}'s, and"
        f" lower at {below:.0%} of the steps",
    ]
    speed_ups = late["speed_up"].dropna()
    if len(speed_ups):
        lines.append(
            f"    before the cooldown {b} reaches {a}'s loss in {1 / speed_ups.median():.3g}x the steps"
        )
    return "\n".join(lines)
