"""Two recipes compared: two settings in one study, two studies, or two values in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.arms.curves import arm_curves
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.tables.runs import study_plan
from scalinglab.answers.fit import delta_option
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import FINISHED
from scalinglab.scaling.text.nearest import nearest
from scalinglab.source import loss_column

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.arms.comparison import ArmComparison


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Options of a comparison of two recipes."""

    arm: str | None = option(
        "what tells the recipes apart: a setting (optimizer.name), or a column of a file", None
    )
    between: list[str] = option("the two values: baseline A and B, where there are more", [])
    columns: dict[str, str | float] = option(
        "column names in the file: columns.N=params; in a study columns.loss=loss.STORE takes the"
        " validation set that both recipes have",
        {},
    )
    law: str = option("the law that is fitted to each recipe", LAW)
    shared: list[str] = option(
        "parameters of the law that both recipes share, where runs are few", []
    )
    budgets: list[float] = option("FLOPs (6 N D) at which the recipes are compared", [])
    n_count: str | None = option(
        "count of N in a study: n_matmul (default), n_block, n_total or n_active", None
    )
    resamples: int = option("bootstrap refits for the intervals; 0: no intervals", 1000, RESAMPLES)
    seed: int = option("bootstrap seed", 0, SEED)
    level: float = option("confidence level of the intervals", 0.95, LEVEL)
    delta: float | str | None = delta_option()


@dataclass(frozen=True)
class Compared:
    """Two recipes compared by their final losses and by their curves.

    Attributes
    ----------
    arms : ArmComparison
    curves : DataFrame, str or None
        From `analysis.compare_arm_curves`; why no curves compare, or None where there are none.
    """

    arms: ArmComparison
    curves: pd.DataFrame | str | None = None


def compare_study(outputs: Path, study: str, asked: CompareOptions) -> Compared:
    """Compare the runs of one study by the values of the setting `arm`.

    Raises
    ------
    UserError
        If there is no such study, or there are no two recipes to compare.
    """
    _need_arm(asked)
    return _compare_records(outputs, [study], asked.between or None, asked)


def compare_studies(outputs: Path, studies: Sequence[str], asked: CompareOptions) -> Compared:
    """Compare two studies, each a recipe.

    Raises
    ------
    UserError
        If they are not two different studies, or one is not there.
    """
    if len(set(studies)) != 2 or len(studies) != 2 or asked.arm:
        raise ConfigError(
            f"studies = {list(studies)}: two different ones are compared, without arm="
        )
    return _compare_records(outputs, studies, asked.between or list(studies), asked)


def _compare_records(
    outputs: Path, studies: Sequence[str], between: list[str] | None, asked: CompareOptions
) -> Compared:
    loss = loss_column(asked.columns)
    runs = analysis.runs_by_arm(
        outputs, studies, asked.arm, n_count=asked.n_count or "n_matmul", loss=loss
    )
    names = between or sorted(runs["arm"].dropna().astype(str).unique())
    differences = None
    if len(names) == 2 and "seed" in runs:
        differences = analysis.arm_settings(outputs, runs, names, asked.arm)
    asked = replace(asked, delta=_delta(outputs, studies, asked))
    arms = _compare(runs, between, differences, asked)
    return Compared(arms, arm_curves(outputs, studies, runs, arms.arms, loss))


def _delta(outputs: Path, studies: Sequence[str], asked: CompareOptions) -> float | str | None:
    """The threshold that is asked for, or that of the studies: one law is fitted to both."""
    if asked.delta is not None:
        return asked.delta
    own = [study_plan(outputs, study).study.answer.delta for study in studies]
    if any(delta != own[0] for delta in own):
        told = ", ".join(f"{s} {d}" for s, d in zip(studies, own, strict=True))
        raise ConfigError(
            f"answer.delta differs between the studies ({told}), and one law is fitted to both: say"
            " delta=published, delta=scaled or a number"
        )
    return own[0]


def compare_file(path: str, asked: CompareOptions) -> Compared:
    """Compare the runs of a file by the values of its column `arm`.

    Raises
    ------
    UserError
        If the file cannot be read, or there are no two recipes to compare.
    """
    arm = _need_arm(asked)
    if asked.n_count:
        raise ConfigError("n_count says what N counts in a study; in a file columns.N=NAME does")
    runs = analysis.read_runs(path, columns=asked.columns).runs
    runs = runs[runs["status"].isin(FINISHED)]
    if arm not in runs:
        raise ConfigError(f"arm = {arm!r}: {path} has no such column{nearest(arm, runs, 'it has')}")
    return Compared(_compare(runs.assign(arm=runs[arm]), asked.between or None, None, asked))


def _need_arm(asked: CompareOptions) -> str:
    if asked.arm is None:
        raise ConfigError(
            "arm is not set; say which setting or column tells the recipes apart, as in"
            " arm=optimizer.name"
        )
    return asked.arm


def _compare(
    runs: pd.DataFrame,
    between: list[str] | None,
    differences: pd.DataFrame | None,
    asked: CompareOptions,
) -> ArmComparison:
    return analysis.compare_arms(
        runs,
        arm="arm",
        between=between,
        law=asked.law,
        shared=asked.shared,
        budgets=asked.budgets,
        resamples=asked.resamples,
        seed=asked.seed,
        level=asked.level,
        delta=asked.delta,
        differences=differences,
    )
