"""Two recipes compared: is B better than A, by how much, and at which scale.

One law with separate parameters for each arm is fitted to the runs of both, and every answer comes
with its resamples. In these, runs of one size, length and seed have one weight in both arms: the
noise that a seed and the order of the data cause in both arms cancels in their difference.

- speed-up at C: the compute that A needs for the loss that B reaches with C, over C, where N and D
  grow together as in the ladder;
- compute multiplier at C: the same at the best splits of both, if the runs determine them, with a
  separate floor for each recipe and with one for both; see `scalinglab.analysis.arms.multiplier`;
- equivalent data at (N, D): the tokens that A needs for the loss of B at (N, D), over D;
- crossover: the C along the ladder at which the two laws meet.

Points in the middle of a schedule are refused: their loss depends on how far the learning rate has
come down, not only on the recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from scalinglab.analysis.arms.both_arms import of_both_arms
from scalinglab.analysis.arms.compared_runs import (
    compared_runs,
    count_by_arm,
    runs_of_arms,
    without_excluded,
)
from scalinglab.analysis.arms.comparison import ArmComparison
from scalinglab.analysis.arms.multiplier import floors_to_fit, multipliers, verdicts
from scalinglab.analysis.arms.pairs import pair_label, pair_runs
from scalinglab.analysis.arms.scale import (
    Ladder,
    along_ladder,
    check_budgets,
    crossing,
    measured_ends,
)
from scalinglab.analysis.arms.sharing import sharing_tests
from scalinglab.analysis.arms.splits import with_splits
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws import find
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.tables.trials import tried_settings
from scalinglab.analysis.tables.validation_sets import as_loss, refuse_different_sets, sets_of
from scalinglab.scaling.errors import UserError

_BEYOND = (1.0, 3.0, 10.0)  # times the largest compute measured in both arms


def compare_arms(
    data: pd.DataFrame,
    *,
    arm: str = "arm",
    between: Sequence[str] | None = None,
    law: str | Law = LAW,
    loss: str | None = None,
    shared: Sequence[str] = (),
    budgets: Sequence[float] = (),
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    differences: pd.DataFrame | None = None,
    exclude: Sequence[str] = (),
    **options: Any,
) -> ArmComparison:
    """Compare two recipes by the final losses of their runs, each at the best of its trials.

    Parameters
    ----------
    data : DataFrame
        One row per run: ``N, D, loss``, the arm, and where known ``seed`` and ``status``.
    arm : str
        Column that distinguishes the arms.
    between : (str, str), optional
        The baseline and the other arm; needed where there are more than two.
    law : str or Law
        Of the final loss, in N and D.
    loss : str, optional
        The column that is compared; default ``loss``. ``loss.<store>`` is that of a further
        validation set.
    shared : list of str
        Parameters that are known to have one value in both arms.
    budgets : list of float
        Compute, 6 N D, at which to compare. Default: the largest around which both arms were
        measured, and 3 and 10 times that; for the multiplier also the ends of what was measured of
        both where they are compared.
    resamples, seed, level
        As in `analysis.fit`.
    differences : DataFrame, optional
        From `analysis.arm_settings`, for the report and warnings.
    exclude : list of str
        Runs to leave out, as in `analysis.fit`. Runs of whose loss only a bound is known are
        refused unless ``bounded`` is among them.
    **options
        As in `analysis.fit`.

    Returns
    -------
    ArmComparison

    Raises
    ------
    UserError
        If the column is missing, there are not two arms, only a bound is known of a run, an arm has
        points in the middle of a schedule, their losses were measured on different validation sets,
        or as `analysis.fit`.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> N, D = np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5))
    >>> runs = pd.concat(pd.DataFrame({"arm": arm, "N": N.ravel(), "D": D.ravel()})
    ...                  .assign(loss=lambda r, A=A: 1.7 + A / r.N**0.34 + 1800 / r.D**0.37)
    ...                  for arm, A in (("adamw", 400), ("muon", 330)))
    >>> found = analysis.compare_arms(runs, resamples=50)
    >>> bool(found.scales["better"].iloc[0] > 0.99)
    True
    """
    law = find(law)
    if law.curve or set(law.inputs) != {"N", "D"}:
        raise UserError(f"law = {law.name!r}: arms are compared by a law of N and D alone")
    check_budgets(budgets)
    of_arms, arms = runs_of_arms(as_loss(data, loss), arm, between)
    of_arms, left_out = without_excluded(of_arms, exclude, loss or "loss")
    every, runs, censored = compared_runs(of_arms, arms)
    refuse_different_sets(runs)
    comparison = _measured(every, runs, censored, arms, level, differences, left_out)
    if lacking := _too_few(law, runs, arms, shared):
        return replace(comparison, warnings=(*comparison.warnings, lacking))
    arm_options = {"arm": "_arm", "mix_fingerprints": True, **options}
    cluster = pair_label(runs).to_numpy()
    fits = []
    for floor, together in floors_to_fit(law, shared):
        joint = fit(
            law,
            runs,
            cluster=cluster,
            shared=list(together),
            resamples=resamples,
            seed=seed,
            level=level,
            **arm_options,
        )
        fits.append((floor, of_both_arms(joint, runs)))
    comparison = replace(comparison, sharing=sharing_tests(law, runs, arm_options))
    return _by_laws(comparison, fits, runs, budgets, level)


def _measured(
    every: pd.DataFrame,
    compared: pd.DataFrame,
    censored: dict[str, int],
    arms: tuple[str, str],
    level: float,
    differences: pd.DataFrame | None,
    left_out: Sequence[str],
) -> ArmComparison:
    """The comparison without a law: what pairs of runs say, and warnings about the runs."""
    settings = pd.DataFrame() if differences is None else differences
    return ArmComparison(
        arms=arms,
        result=None,
        pairs=pair_runs(compared, arms, level),
        sharing=pd.DataFrame(),
        scales=pd.DataFrame(),
        multipliers=pd.DataFrame(),
        verdicts=pd.DataFrame(),
        crossover={},
        censored=censored,
        differences=settings,
        ended=count_by_arm(every["_arm"], arms),
        warnings=(
            *left_out,
            *_of_trials(every, len(compared)),
            *_of_sets(compared, arms),
            *_of_settings(settings),
        ),
        runs=_as_shown(compared),
    )


def _as_shown(compared: pd.DataFrame) -> pd.DataFrame:
    """The compared runs under the names that people read."""
    names = [n for n in ("run_id", "run", "_arm", "N", "D", "loss") if n in compared]
    if "run_id" in names and "run" in names:
        names.remove("run")
    shown = compared[names].rename(columns={"run": "run_id", "_arm": "arm"})
    return shown.reset_index(drop=True)


def _by_laws(
    comparison: ArmComparison,
    fits: list[tuple[str, Result]],
    runs: pd.DataFrame,
    budgets: Sequence[float],
    level: float,
) -> ArmComparison:
    """Add what the laws of both arms say, the first of which is the comparison's own."""
    arms, result, ladder = comparison.arms, fits[0][1], Ladder.of(runs)
    top = measured_ends(result, ladder)[1] if ladder.is_shared else ladder.low
    at = list(budgets) or [times * top for times in _BEYOND]
    scales = along_ladder(result, arms, ladder, at, level)
    worth = multipliers(fits, arms, runs, at, level, measured=not budgets)
    compared = replace(
        comparison,
        result=result,
        scales=scales,
        multipliers=worth,
        verdicts=verdicts(worth),
        crossover=crossing(result, arms, ladder, level),
        ladder=ladder,
        warnings=(*result.warnings, *comparison.warnings),
    )
    return with_splits(compared, budgets)


def _too_few(law: Law, runs: pd.DataFrame, arms: Sequence[str], shared: Sequence[str]) -> str:
    """Why no law is fitted, if an arm has too few points for its parameters; else empty."""
    free = [name for name in law.names if name not in shared]
    first = [*law.parameters_with_role("exponent"), *law.parameters_with_role("floor")]
    in_common = sorted(free, key=lambda name: name not in first)
    points = runs.drop_duplicates(["_arm", "N", "D"])["_arm"].value_counts()
    for arm in arms:
        count = int(points.get(arm, 0))
        if count <= len(free):
            few = ",".join([*shared, *in_common[: len(free) + 1 - count]])
            return (
                f"arm {arm!r} has {count} runs of different N and D, and"
                f" {len(free)} parameters of its own ({', '.join(free)}) take more: no law is"
                " fitted; add sizes"
                + (f", or let the arms have parameters in common: shared=[{few}]" * (count > 1))
            )
    return ""


def _of_trials(every: pd.DataFrame, chosen: int) -> list[str]:
    """That runs were left out, where several settings were tried."""
    if chosen == len(every):
        return []
    ended, tried = len(every), tried_settings(every, "_arm")
    what = f"settings ({', '.join(tried)})" if set(tried) - {"lr"} else "learning rates"
    return [
        f"{ended - chosen} of {ended} runs are left out: of several {what} at one size and length"
        " each arm counts at its best"
    ]


def _of_sets(runs: pd.DataFrame, arms: Sequence[str]) -> list[str]:
    """The assumption about the validation sets of a table that does not name them."""
    silent = [arm for arm in arms if not sets_of(runs[runs["_arm"] == arm])]
    if not silent:
        return []
    return [
        f"the table does not say on which validation set {' and '.join(silent)}"
        f" {'was' if len(silent) == 1 else 'were'} measured:"
        " one set is assumed for both arms (a column validation_set would tell)"
    ]


def _of_settings(differences: pd.DataFrame) -> list[str]:
    if differences.empty:
        return []
    unintended = differences[~differences["intended"]]
    if unintended.empty:
        return []
    text = "; ".join(f"{r.key}: {r.a} against {r.b}" for r in unintended.head(6).itertuples())
    return [f"the arms differ in more than the one setting: {text}"]
