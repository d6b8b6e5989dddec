"""The verdict of a study whose question is not a law: sentences, tables, figures.

``study.answer.kind`` names a judge of ``analysis/studies``: a function of a table of runs and
nothing else, so that it can judge imported or simulated runs as well.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pandas as pd

from scalinglab.analysis.intervals.power import Design, design_of
from scalinglab.analysis.reporting.reported_runs import ReportedRuns, text_of
from scalinglab.analysis.reporting.run_origins import machines_of, unfinished_counts
from scalinglab.analysis.shown import Overview
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.interval_text import (
    four_digits,
    intervals_in_cells,
    relative_form,
)
from scalinglab.analysis.tables.judged_runs import planned_runs, study_runs
from scalinglab.analysis.tables.labels import row_name
from scalinglab.analysis.tables.noise import seed_scatter
from scalinglab.analysis.tables.study_runs import require, study_plan
from scalinglab.analysis.tables.trials import trial_columns
from scalinglab.analysis.tables.validation_sets import refuse_different_sets
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import one_of, setting
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.fingerprint import versions_of_code
from scalinglab.scaling.records.plan_file import AnswerConfig
from scalinglab.scaling.registry import Registry, function

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAW = "law"  # the kind of a study that is fitted, not judged
# Keywords of a judge that the study fills in; all others are options.
_FILLED_IN = ("curves", "delta", "design", "planned", "response", "study")


@dataclass(frozen=True)
class Finding:
    """What a judge found.

    Attributes
    ----------
    sentences : list of str
        The verdict first.
    tables : dict of str to DataFrame
        Title -> numbers.
    figures : list of (caption, Figure)
    warnings : list of str
    sources : list of str
        The papers behind the laws and methods used: ``"Hoffmann et al. 2022, arXiv:2203.15556"``.
    forecasts : DataFrame or None
        Predictions of runs that are not trained yet, as from `analysis.forecast_study`, with
        ``column``: the predicted column.
    """

    sentences: list[str]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: list[tuple[str, Figure]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    forecasts: pd.DataFrame | None = None


# From the runs of a study, with options by keyword. These keywords are filled in for a judge that
# has them: `curves`, the training curves; `delta`, the threshold of the study's fits; `design`,
# which effects its arms can show; `planned`, the unfinished runs; `study`, its name. The default of
# `response` names the column that the judge compares if that is not the loss, as where losses in
# nats per token are not comparable.
Judge = Callable[..., Finding]
VERDICTS: Registry[Judge] = Registry("study.answer.kind", "scalinglab.analysis.studies")
VERDICTS.wants(function)


@dataclass(frozen=True, kw_only=True, repr=False)
class Verdict(ReportedRuns):
    """A finding about a study, with the runs that it rests on.

    Attributes
    ----------
    finding : Finding
    design : Design or None
        The smallest effect that the comparison of its arms can show, by the planned noise.
    noise : float
        The measured noise between seeds; NaN if no seed is repeated.
    """

    finding: Finding
    design: Design | None = None
    noise: float = math.nan

    @property
    def shown(self) -> Overview:
        """As `Shown`: the verdict with its tables."""
        return Overview(
            self.headline(),
            self.finding.tables,
            tuple(filter(None, [self.question, *self.details()])),
            tuple(self.cautions()),
        )

    def plot(self, number: int = 0) -> Figure:
        """A figure of the finding, by its number; figures are drawn when the verdict is given.

        Raises
        ------
        UserError
            If there is no such figure.
        """
        figures = self.finding.figures
        if not 0 <= number < len(figures):
            raise UserError(f"number = {number}: this verdict has {len(figures)} figures, from 0")
        return figures[number][1]

    def sentences(self) -> list[str]:
        """The verdict, and the smallest effect that the design detects."""
        if self.design is None:
            return self.finding.sentences
        detectable = self.design.sentence()
        if math.isfinite(self.noise):
            measured = replace(self.design, noise=self.noise)
            detectable += (
                f". Measured: {self.noise:.2%} of noise, with which {measured.least:.2%} is"
            )
        return [*self.finding.sentences, f"{detectable[0].upper()}{detectable[1:]}."]

    def text(self) -> str:
        """The verdict in words and numbers."""
        finding = self.finding
        tables = [
            f"{title}\n"
            + table.to_string(index=False, float_format=_number, formatters=_forms(table))
            for title, every in finding.tables.items()
            for table in [intervals_in_cells(every)]
        ]
        said = text_of(self.question, self.headline(), self.cautions(), self.details())
        return "\n\n".join([said, *tables])

    def headline(self) -> str:
        """The verdict in one sentence."""
        return next(iter(self.sentences()), "")

    def cautions(self) -> list[str]:
        """What a reader should be careful about."""
        return self.finding.warnings

    def details(self) -> list[str]:
        """All that a text has below headline and cautions, without its tables."""
        return [part for part in self.sentences()[1:] if part]


def give_verdict(outputs: str | Path, study: str, loss: str | None = None) -> Verdict:
    """Judge a study from its records, by its kind; `loss` as in `analysis.load`.

    Raises
    ------
    UserError
        If the study does not exist, its kind is unknown, or its runs do not suffice or were
        validated on different sets.
    """
    plan = study_plan(outputs, study)
    kind = plan.study.answer.kind
    options = check_kind(kind, plan.study.answer.options)
    if kind == LAW:
        raise UserError(f"study {study!r} asks for a law: analysis.answer_study fits it")
    runs = require(study_runs(outputs, study, loss), outputs, study, measured=False)
    judge = VERDICTS[kind]
    keywords = inspect.signature(judge).parameters
    compared = keywords["response"].default if "response" in keywords else "loss"
    refuse_different_sets(runs, [compared])
    arguments: dict[str, Any] = {}
    if "curves" in keywords:
        arguments["curves"] = load_curves(outputs, study=study, loss=loss)
    if "delta" in keywords:
        arguments["delta"] = plan.study.answer.delta
    if "study" in keywords:
        arguments["study"] = study
    if "planned" in keywords:
        arguments["planned"] = planned_runs(outputs, study)
    design, noise = design_of_study(plan.study.answer, runs), math.nan
    far = []
    if design is not None:
        cell = [design.arm, "N", "D"]
        scatter = seed_scatter(runs, by=[*cell, *trial_columns(runs, cell)])
        noise = scatter.noise
        far = scatter.sentences(lambda place: row_name(runs, place))
    if "design" in keywords:
        arguments["design"] = design
    finding: Any = judge(runs, **arguments, **options)
    if not isinstance(finding, Finding):
        raise UserError(
            f"study.answer.kind = {kind!r}: its judge gave a {type(finding).__name__}, "
            "a Finding is wanted (scalinglab.analysis.reporting.verdict)"
        )
    finding.warnings.extend([*far, *_caveats(runs, len(plan.runs))])
    return Verdict(
        study=study,
        question=plan.study.question,
        outputs=Path(outputs),
        runs=runs.assign(loss=runs["loss"].where(np.isfinite(runs["loss"].astype(float)))),
        unfinished=unfinished_counts(outputs, plan, runs),
        machines=machines_of(outputs, runs),
        arm=_arm(keywords, options, runs),
        finding=finding,
        design=design,
        noise=noise,
    )


def design_of_study(answer: AnswerConfig, runs: pd.DataFrame) -> Design | None:
    """Which effects a study's comparison of arms can show; None if its judge compares no arms.

    Parameters
    ----------
    answer : AnswerConfig
        The kind of the study, and the noise that it is planned with.
    runs : DataFrame
        Planned or finished runs: ``N, D, lr, seed``, ``block`` and the science as dotted columns.
    """
    if answer.kind == LAW or answer.kind not in VERDICTS:
        return None
    parameter = inspect.signature(VERDICTS[answer.kind]).parameters.get("arm")
    if parameter is None:
        return None
    return design_of(runs, str(answer.options.get("arm", parameter.default)), answer.noise)


def _arm(
    keywords: Mapping[str, inspect.Parameter], options: Mapping[str, Any], runs: pd.DataFrame
) -> str | None:
    """The column that distinguishes the arms of a judge, else the blocks of the study."""
    asked = [str(options.get("arm", keywords["arm"].default))] if "arm" in keywords else []
    columns = (name for name in (*asked, "block") if name in runs)
    return next((name for name in columns if runs[name].nunique() > 1), None)


def check_kind(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse an unknown kind of study, and options that its judge does not have or that it lacks.

    Returns
    -------
    dict
        The options, with the types of the judge's keywords.

    Raises
    ------
    UserError
        Naming the key and what is allowed.
    """
    if kind == LAW and not options:
        return {}
    if kind == LAW:
        raise UserError(f"study.answer.kind = {kind!r} is not one with options")
    if kind not in VERDICTS:
        one_of("study.answer.kind", kind, [LAW, *VERDICTS])
    read = from_dict(_options_of(kind), dict(options), "study.answer.options")
    return {name: getattr(read, name) for name in options}


def _options_of(kind: str) -> type:
    """The keywords of a judge as a dataclass, to be read by `from_dict` as any group of keys."""
    judge = VERDICTS[kind]
    hints = get_type_hints(judge)
    parameters = inspect.signature(judge).parameters.values()
    return make_dataclass(
        kind,
        [
            (p.name, hints[p.name], setting(MISSING if p.default is p.empty else p.default))
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and p.name not in _FILLED_IN
        ],
    )


def _caveats(runs: pd.DataFrame, planned: int) -> list[str]:
    """Warnings about the runs that any verdict must carry."""
    sentences = []
    if planned > len(runs):
        sentences.append(
            f"{planned - len(runs)} of {planned} runs are not finished: the verdict is "
            "that of the others"
        )
    versions = versions_of_code(runs["fingerprint"].dropna())
    if versions:
        sentences.append(
            f"the runs were trained by {len(versions)} versions of the code that makes their "
            "numbers: differences may be the code's"
        )
    return sentences


def _forms(table: pd.DataFrame) -> dict[Any, Callable[[float], str]]:
    """How columns of relative differences are written, as on a page."""
    numbers = table.select_dtypes("number")  # a person's own column may have such a name
    forms = {name: form for name in numbers if (form := relative_form(name))}
    return {name: partial(_relative, form) for name, form in forms.items()}


def _relative(form: str, value: float) -> str:
    return "" if pd.isna(value) else f"{value:{form}}"


def _number(value: float) -> str:
    """A number of a table: counts in full, others with four digits."""
    is_count = 1_000 <= abs(value) < 1e12 and value == round(value)
    return f"{value:,.0f}" if is_count else four_digits(value)
