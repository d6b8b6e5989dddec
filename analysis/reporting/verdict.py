"""The verdict of a study that asks for something else than a law: a sentence, numbers, a figure.

``study.answer.kind`` names a judge of ``analysis/studies``: a function that sees the runs as a
table and nothing else, so that runs from elsewhere, or made up, can be judged as well.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pandas as pd

from scalinglab.analysis.intervals.power import Design, design_of
from scalinglab.analysis.reporting.page import Download, Section, page
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.labels import row_name
from scalinglab.analysis.tables.noise import seed_scatter
from scalinglab.analysis.tables.runs import load
from scalinglab.analysis.tables.study_runs import require, study_plan
from scalinglab.analysis.tables.validation_sets import refuse_different_sets
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.fields import one_of, setting
from scalinglab.scaling.model.flops import CONVENTIONS, flops_per_token
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.fingerprint import versions_of_code
from scalinglab.scaling.records.identity import without
from scalinglab.scaling.records.plan_file import AnswerConfig
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.registry import Registry, function
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.text.plain import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAW = "law"  # the kind of a study that is fitted, not judged
_GIVEN = (
    "curves",
    "delta",
    "design",
    "planned",
    "response",
    "study",
)  # keywords of a judge that are no options


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
    forecasts : DataFrame or None
        What it says of runs that are not trained yet, as `analysis.forecast_study` gives it, with
        ``column``: what is predicted.
    """

    sentences: list[str]
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: list[tuple[str, Figure]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    forecasts: pd.DataFrame | None = None


# The runs of a study, and options by keyword; one with a keyword `curves` is given whole curves,
# one with a keyword `delta` the threshold of the study's fits, one with `planned` the runs to come,
# one with `study` its name. The default of `response` is the column that it
# compares, where that is not the loss: it may compare where losses in nats per token do not.
Judge = Callable[..., Finding]
VERDICTS: Registry[Judge] = Registry("study.answer.kind", "scalinglab.analysis.studies")
VERDICTS.wants(function)


@dataclass(frozen=True)
class Verdict:
    """A finding about a study.

    Attributes
    ----------
    study, question : str
    outputs : Path
    finding : Finding
    design : Design or None
        What the comparison of its arms could tell, by the noise that was planned with.
    noise : float
        The noise between seeds that was measured; NaN where no seed is repeated.
    """

    study: str
    question: str
    outputs: Path
    finding: Finding
    design: Design | None = None
    noise: float = math.nan

    def sentences(self) -> list[str]:
        """The verdict, and what the design could detect."""
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
            f"{title}\n{table.to_string(index=False, float_format='{:.4g}'.format)}"
            for title, table in finding.tables.items()
        ]
        return "\n\n".join(
            [
                self.question,
                *self.sentences(),
                *tables,
                *(f"! {warning}" for warning in finding.warnings),
            ]
        )


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
        scatter = seed_scatter(runs, by=[design.arm, "N", "D", "lr"])
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
    return Verdict(study, plan.study.question, Path(outputs), finding, design, noise)


def design_of_study(answer: AnswerConfig, runs: pd.DataFrame) -> Design | None:
    """What a study's comparison of arms can tell; None where its judge compares none.

    Parameters
    ----------
    answer : AnswerConfig
        Of the study: its kind, and the noise that it plans with.
    runs : DataFrame
        Planned or finished runs: ``N, D, lr, seed``, ``block`` and the science as dotted columns.
    """
    if answer.kind == LAW or answer.kind not in VERDICTS:
        return None
    parameter = inspect.signature(VERDICTS[answer.kind]).parameters.get("arm")
    if parameter is None:
        return None
    return design_of(runs, str(answer.options.get("arm", parameter.default)), answer.noise)


def check_kind(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse an unknown kind of study, or options that its judge does not take or lacks.

    Returns
    -------
    dict
        The options, typed as the judge takes them.

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
    """The keywords of a judge as a dataclass, which `from_dict` reads as any
    other group of keys.
    """
    judge = VERDICTS[kind]
    hints = get_type_hints(judge)
    parameters = inspect.signature(judge).parameters.values()
    return make_dataclass(
        kind,
        [
            (p.name, hints[p.name], setting(MISSING if p.default is p.empty else p.default))
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and p.name not in _GIVEN
        ],
    )


def _caveats(runs: pd.DataFrame, planned: int) -> list[str]:
    """What any verdict must say of its runs."""
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


def study_runs(outputs: str | Path, study: str, loss: str | None = None) -> pd.DataFrame:
    """The finished runs of a study with all that makes them differ.

    Returns
    -------
    DataFrame
        The columns of `analysis.load`, the science as dotted columns (``optimizer.name``,
        ``model.width``), ``block`` (of the study, joined by commas), ``final_ratio`` (the last LR
        over the peak) and ``flops_<convention>`` of a token. Diverged runs have an infinite loss.
    """
    blocks = {r.run_id: ",".join(r.blocks) for r in study_plan(outputs, study).runs}
    runs = load(outputs, study=study, loss=loss)
    runs = runs[runs["status"] != State.STOPPED].reset_index(drop=True)
    more = []
    for run_id in runs["run_id"]:
        spec = RunFolder(Path(outputs) / "runs" / run_id).record().spec
        more.append(
            {
                "block": blocks[run_id],
                "final_ratio": spec.pieces[-1].end / spec.lr_peak,
                **{f"flops_{c}": flops_per_token(spec.flops, c) for c in CONVENTIONS},
                **flatten(without(spec.science, ["schedule"])),
            }
        )
    table = pd.concat([runs, pd.DataFrame(more, index=runs.index)], axis=1)
    table = table.loc[:, ~table.columns.duplicated()]
    return table.assign(loss=table["loss"].where(table["status"] == State.DONE, float("inf")))


def planned_runs(outputs: str | Path, study: str) -> pd.DataFrame:
    """The runs of a study that are not finished: ``run_id, role, N, D, C, steps``."""
    rows = []
    for entry in study_plan(outputs, study).runs:
        folder = RunFolder(Path(outputs) / "runs" / entry.run_id)
        if not folder.exists() or folder.done() is not None or folder.state_damage() is not None:
            continue
        spec = folder.spec()
        tokens = spec.steps * spec.tokens_per_step
        rows.append(
            {
                "run_id": entry.run_id,
                "role": ",".join(entry.roles),
                "N": float(size(spec.counts)),
                "D": float(tokens),
                "C": flops_per_token(spec.flops) * tokens,
                "steps": spec.steps,
            }
        )
    return pd.DataFrame(rows, columns=["run_id", "role", "N", "D", "C", "steps"])


def facts_of_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values, for programs."""
    finding = verdict.finding
    return {
        "study": verdict.study,
        "question": verdict.question,
        "sentences": verdict.sentences(),
        "least_effect": None if verdict.design is None else verdict.design.least,
        "tables": {title: table.to_dict("records") for title, table in finding.tables.items()},
        "warnings": finding.warnings,
    }


def write_verdict(verdict: Verdict, path: str | Path) -> Path:
    """Write a verdict as one HTML page; replaces the file whole."""
    finding, path, sentences = verdict.finding, Path(path), verdict.sentences()
    sections = [Section(title, tables=[table]) for title, table in finding.tables.items()]
    facts = json.dumps(plain(facts_of_verdict(verdict)), indent=1, allow_nan=False)
    text = page(
        verdict.study,
        verdict.question,
        sentences[1:],
        finding.warnings,
        sections,
        verdict.outputs,
        headline=sentences[0] if sentences else "",
        leading=finding.figures,
        downloads=[Download("The verdict as data (JSON)", f"{verdict.study}.json", facts)],
    )
    write_atomic(path.absolute(), text)
    return path
