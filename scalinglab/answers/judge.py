"""Whether a change still helps at scale: a candidate judged against a baseline at a target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.transfer.multiplier_line import LACK_OF_FIT
from scalinglab.analysis.transfer.question import MARGIN, TUNINGS, TransferQuestion
from scalinglab.analysis.transfer.seal import write_seal
from scalinglab.answers.add_commands import add_commands
from scalinglab.options import LEVEL, option
from scalinglab.run_options import loss_column
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.fields import ABOVE_0, Within
from scalinglab.scaling.records.state import FINISHED
from scalinglab.scaling.text.nearest import nearest

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.transfer.judgement import Judgement

_WEIGHT_DECAY = "optimizer.weight_decay"


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """Options of a judgement."""

    arm: str | None = option(
        "what tells the recipes apart: a setting (optimizer.name), or a column of a file", None
    )
    baseline: str | None = option("the value of the baseline", None)
    candidate: str | None = option("the value of the candidate", None)
    at: float = option("training compute of the target, 6 N D (FLOPs)", within=ABOVE_0)
    margin: float = option(
        "relative compute that counts as a difference", MARGIN, Within(0, 1, open=True)
    )
    level: float = option("level of the intervals, over all looks together", 0.95, LEVEL)
    far: bool = option("judge a target beyond 30 times the largest measured compute", False)
    tuning: str = option(
        "check: both arms must have had equal numbers of trials; elsewhere: not checked", TUNINGS[0]
    )
    text_noise: float = option(
        "standard deviation of the log loss ratio from the finite evaluation text",
        0.0,
        Within(0, 1),
    )
    lack_of_fit: float = option(
        "expected standard deviation of the log multiplier about its line",
        LACK_OF_FIT,
        Within(0, 1, open=True),
    )
    exclude: list[str] = option("conditions of runs to leave out: 'exclude=[D < 1e9]'", [])
    seal: str | None = option(
        "a file: where it does not exist, seal the question in it before the runs; else compare"
        " with it",
        None,
    )
    columns: dict[str, str | float] = option(
        "column names in the file: columns.N=params; in a study columns.loss=loss.STORE takes"
        " another validation set",
        {},
    )
    n_count: str | None = option(
        "count of N in a study: n_matmul (default), n_block, n_total or n_active", None
    )


@dataclass(frozen=True)
class Sealed:
    """A question that was sealed before its runs.

    Attributes
    ----------
    path, date, hash : str
    known : int
        Runs of both arms that had ended at the sealing.
    note : str
        Why no run was known; else empty.
    """

    path: str
    date: str
    hash: str
    known: int
    note: str = ""


@dataclass(frozen=True, repr=False)
class Judged(Shown):
    """A judgement, or a seal in its place.

    Attributes
    ----------
    judgement : Judgement or None
        None if the question was sealed, and nothing judged.
    commands : tuple of str
        Commands that make the cheapest next runs; empty for runs that were made elsewhere.
    sealed : Sealed or None
    """

    judgement: Judgement | None
    commands: tuple[str, ...] = ()
    sealed: Sealed | None = None

    @property
    def shown(self) -> Overview:
        """As `Shown`: the judgement and the next commands, or the new seal."""
        if self.judgement is not None:
            return self.judgement.shown.also(sentences=self.commands)
        seal = self.sealed
        if seal is None:
            return Overview("Nothing is judged", {})
        known = seal.note or f"{seal.known} runs had ended"
        return Overview(f"Sealed in {seal.path}: {seal.date}, SHA-256 {seal.hash}", {}, (known,))


def judge_study(outputs: Path, study: str, options: JudgeOptions) -> Judged:
    """Judge two values of the setting `arm` in a study.

    Raises
    ------
    UserError
        If there is no such study, its runs do not tell the arms apart, or as `analysis.judge`.
    """
    arm = _need(options.arm, "arm", "arm=optimizer.name")
    question = _question(options, arm, options.baseline, options.candidate)
    return _judge_records(outputs, [study], arm, question, options)


def judge_studies(outputs: Path, studies: Sequence[str], options: JudgeOptions) -> Judged:
    """Judge two studies, the baseline first.

    Raises
    ------
    UserError
        If they are not two different studies, or as `judge_study`.
    """
    if len(set(studies)) != 2 or len(studies) != 2 or options.arm:
        raise ConfigError(
            f"studies = {list(studies)}: two different ones are judged, the baseline first, without"
            " arm="
        )
    arms = options.baseline or studies[0], options.candidate or studies[1]
    question = _question(options, "study", *arms)
    return _judge_records(outputs, studies, None, question, options)


def judge_file(path: str, options: JudgeOptions) -> Judged:
    """Judge two values of the column `arm` of a file.

    Raises
    ------
    UserError
        If the file cannot be read, or as `analysis.judge`.
    """
    arm = _need(options.arm, "arm", "arm=recipe")
    question = _question(options, arm, options.baseline, options.candidate)
    if options.n_count:
        raise ConfigError("n_count says what N counts in a study; in a file columns.N=NAME does")

    def load() -> pd.DataFrame:
        runs = analysis.read_runs(path, columns=options.columns).runs
        if arm not in runs:
            raise ConfigError(
                f"arm = {arm!r}: {path} has no such column{nearest(arm, runs, 'it has')}"
            )
        return runs[runs["status"].isin(FINISHED)]

    return _judge(load, question, options, lambda runs, judgement: ())


def _judge_records(
    outputs: Path,
    studies: Sequence[str],
    arm: str | None,
    question: TransferQuestion,
    options: JudgeOptions,
) -> Judged:
    def load() -> pd.DataFrame:
        runs = analysis.runs_by_arm(
            outputs,
            studies,
            arm,
            n_count=options.n_count or "n_matmul",
            loss=loss_column(options.columns),
        )
        runs = runs.assign(**{question.arm: runs["arm"]})
        if "weight_decay" in runs:
            return runs
        decay = analysis.arm_values(outputs, runs, _WEIGHT_DECAY)
        return runs.assign(weight_decay=decay.astype(float))

    def commands(runs: pd.DataFrame, judgement: Judgement) -> tuple[str, ...]:
        return add_commands(outputs, studies, runs, judgement)

    return _judge(load, question, options, commands)


def _judge(
    load: Callable[[], pd.DataFrame],
    question: TransferQuestion,
    options: JudgeOptions,
    commands: Callable[[pd.DataFrame, Judgement], tuple[str, ...]],
) -> Judged:
    if options.seal is not None and not Path(options.seal).exists():
        return Judged(None, sealed=_seal(options.seal, load, question))
    runs = load()
    judgement = analysis.judge(runs, question, far=options.far, seal=options.seal)
    return Judged(judgement, commands(runs, judgement))


def _seal(path: str, load: Callable[[], pd.DataFrame], question: TransferQuestion) -> Sealed:
    """Seal a question; there may be no runs yet, or no study."""
    runs, note = None, ""
    try:
        runs = load()
        runs = runs[runs[question.arm].astype(str).isin(question.arms)]
    except (UserError, FileNotFoundError) as error:
        note = str(error)
    content: dict[str, Any] = write_seal(path, question, runs)
    return Sealed(path, content["date"], content["hash"], len(content["runs"]), note)


def _question(
    options: JudgeOptions, arm: str, baseline: str | None, candidate: str | None
) -> TransferQuestion:
    return TransferQuestion(
        baseline=_need(baseline, "baseline", "baseline=adamw"),
        candidate=_need(candidate, "candidate", "candidate=muon"),
        at=options.at,
        arm=arm,
        margin=options.margin,
        level=options.level,
        tuning=options.tuning,
        text_noise=options.text_noise,
        lack_of_fit=options.lack_of_fit,
        exclude=tuple(options.exclude),
    )


def _need(value: str | None, key: str, example: str) -> str:
    if value is None:
        raise ConfigError(f"{key} is not set; name it, as in {example}")
    return value
