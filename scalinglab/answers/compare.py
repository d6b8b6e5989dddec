"""Two recipes compared: two settings in one study, two studies, or two values in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scalinglab import analysis
from scalinglab.analysis.arms.curves import arm_curves
from scalinglab.analysis.arms.sentences import at_scale, paired
from scalinglab.analysis.default_laws import LAW
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.analysis.tables.typed import records_of
from scalinglab.answers.fit import delta_option
from scalinglab.options import IntervalOptions, option
from scalinglab.run_options import loss_column
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.state import FINISHED
from scalinglab.scaling.text.nearest import nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from scalinglab.analysis.arms.comparison import ArmComparison


@dataclass(frozen=True, kw_only=True)
class CompareOptions(IntervalOptions):
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
    budgets: list[float] = option(
        "FLOPs (6 N D) at which the recipes are compared", [], meant_by=("C", "compute")
    )
    n_count: str | None = option(
        "count of N in a study: n_matmul, n_block, n_total or n_active; default: n_matmul, and"
        " n_active where a recipe has experts or shared layers",
        None,
    )
    delta: float | str | None = delta_option()
    exclude: list[str] = option(
        "runs to leave out, by name (bounded) or condition: 'exclude=[bounded,D < 1e9]'", []
    )


_EQUAL_SHARES = 1e-6  # largest difference of n_active / n_matmul that counts as none
_MEANING = {
    "n_active": "what one token is multiplied by, so 6 N D are the FLOPs",
    "n_total": "every parameter once, so 6 N D are not the FLOPs of experts or shared layers",
    "n_matmul": "matrices of all blocks and the unembedding, each once",
    "n_block": "matrices of the blocks, each once",
}


@dataclass(frozen=True, repr=False)
class Compared(Shown):
    """Two recipes compared by their final losses and by their curves.

    Attributes
    ----------
    arms : ArmComparison
    curves : DataFrame, str or None
        From `analysis.compare_arm_curves`; a str is why curves cannot be compared, None that there
        are none.
    count : str or None
        The count that N is; None for a file.
    other : (str, ArmComparison) or None
        Another count and the comparison by it, if the recipes pass a token through different shares
        of their parameters.
    """

    arms: ArmComparison
    curves: pd.DataFrame | str | None = None
    count: str | None = None
    other: tuple[str, ArmComparison] | None = None

    @property
    def shown(self) -> Overview:
        """As `Shown`: the comparison, the answer by another count of N, and the curves."""
        curves = None if isinstance(self.curves, str) else self.curves
        by_count = [line.strip(" []") for line in self.about_counts()]
        return self.arms.shown.also({"Training curves": curves}, by_count)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The loss of B over that of A: paired runs, and both laws along the ladder."""
        return self.arms.plot(ax=ax)

    def about_counts(self) -> list[str]:
        """Which count N is, and the answer by the other count; empty if there is no other."""
        if self.other is None or self.count is None:
            return []
        name, comparison = self.other
        lines = [f"    N is {self.count}: {_MEANING[self.count]}", f"[[With N as {name}]]"]
        lines += [f"    N is {name}: {_MEANING[name]}", f"    {paired(comparison)}"]
        if comparison.result is not None:
            measured = [row for row in records_of(comparison.scales) if row["inside"]]
            lines += [f"    {at_scale(row, comparison.arms)}" for row in measured[-1:]]
        return lines


def compare_study(outputs: Path, study: str, options: CompareOptions) -> Compared:
    """Compare the runs of one study by the values of the setting `arm`.

    Raises
    ------
    UserError
        If there is no such study, or there are no two recipes to compare.
    """
    _need_arm(options)
    return _compare_records(outputs, [study], options.between or None, options)


def compare_studies(outputs: Path, studies: Sequence[str], options: CompareOptions) -> Compared:
    """Compare two studies, each a recipe.

    Raises
    ------
    UserError
        If they are not two different studies, or one is not there.
    """
    if len(set(studies)) != 2 or len(studies) != 2 or options.arm:
        raise ConfigError(
            f"studies = {list(studies)}: two different ones are compared, without arm="
        )
    return _compare_records(outputs, studies, options.between or list(studies), options)


def _compare_records(
    outputs: Path, studies: Sequence[str], between: list[str] | None, options: CompareOptions
) -> Compared:
    loss = loss_column(options.columns)
    runs = analysis.runs_by_arm(
        outputs, studies, options.arm, n_count=options.n_count or "n_matmul", loss=loss
    )
    count, other = _counts(runs, between, options.n_count)
    if count not in (options.n_count, "n_matmul"):
        runs = runs.assign(N=runs[count], n_count=count)
    names = between or sorted(runs["arm"].dropna().astype(str).unique())
    differences = None
    if len(names) == 2 and "seed" in runs:
        differences = analysis.arm_settings(outputs, runs, names, options.arm)
    options = replace(options, delta=_delta(outputs, studies, options))
    arms = _compare(runs, between, differences, options)
    by_other = None
    if other is not None:
        recounted = runs.assign(N=runs[other], n_count=other)
        by_other = other, _compare(recounted, between, None, options)
    return Compared(arms, arm_curves(outputs, studies, runs, arms.arms, loss), count, by_other)


def _counts(
    runs: pd.DataFrame, between: list[str] | None, n_count: str | None
) -> tuple[str, str | None]:
    """The count that N is, and another one for a second answer.

    Recipes with experts or shared layers use their parameters differently: a token skips most
    experts and passes through a shared layer several times. Then equal FLOPs and equal parameters
    are two questions.
    """
    both_arms = runs if between is None else runs[runs["arm"].astype(str).isin(between)]
    share = both_arms["n_active"] / both_arms["n_matmul"]
    if not share.notna().all() or np.ptp(share) < _EQUAL_SHARES:
        return n_count or "n_matmul", None
    count = n_count or "n_active"
    return count, "n_total" if count == "n_active" else "n_active"


def _delta(outputs: Path, studies: Sequence[str], options: CompareOptions) -> float | str | None:
    """The Huber threshold of the options or of the studies, which must agree: one law fits both."""
    if options.delta is not None:
        return options.delta
    deltas = [study_plan(outputs, study).study.answer.delta for study in studies]
    if any(delta != deltas[0] for delta in deltas):
        by_study = ", ".join(f"{s} {d}" for s, d in zip(studies, deltas, strict=True))
        raise ConfigError(
            f"answer.delta differs between the studies ({by_study}), and one law is fitted to "
            "both: say delta=published, delta=scaled or a number"
        )
    return deltas[0]


def compare_file(path: str, options: CompareOptions) -> Compared:
    """Compare the runs of a file by the values of its column `arm`.

    Raises
    ------
    UserError
        If the file cannot be read, or there are no two recipes to compare.
    """
    arm = _need_arm(options)
    if options.n_count:
        raise ConfigError("n_count says what N counts in a study; in a file columns.N=NAME does")
    runs = analysis.read_runs(path, columns=options.columns).runs
    runs = runs[runs["status"].isin(FINISHED)]
    if arm not in runs:
        raise ConfigError(f"arm = {arm!r}: {path} has no such column{nearest(arm, runs, 'it has')}")
    return Compared(_compare(runs.assign(arm=runs[arm]), options.between or None, None, options))


def _need_arm(options: CompareOptions) -> str:
    if options.arm is None:
        raise ConfigError(
            "arm is not set; say which setting or column tells the recipes apart, as in"
            " arm=optimizer.name"
        )
    return options.arm


def _compare(
    runs: pd.DataFrame,
    between: list[str] | None,
    differences: pd.DataFrame | None,
    options: CompareOptions,
) -> ArmComparison:
    return analysis.compare_arms(
        runs,
        arm="arm",
        between=between,
        law=options.law,
        shared=options.shared,
        budgets=options.budgets,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        delta=options.delta,
        differences=differences,
        exclude=options.exclude,
    )
