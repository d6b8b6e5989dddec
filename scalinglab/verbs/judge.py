"""``scaling judge``: does a change still help at scale."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scalinglab.answers.judge import Judged, JudgeOptions, judge_file, judge_studies, judge_study
from scalinglab.options import Options, option
from scalinglab.scaling.config import ConfigError
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class JudgeVerbOptions(Options, JudgeOptions):
    """Options of ``scaling judge``."""

    study: str | None = option("the study that holds both recipes", None)
    studies: list[str] = option("or two studies, the baseline first", [])
    data: str | None = option("or a file or folder made elsewhere", None)
    outputs: str = option("the folder of all runs", "outputs")


@dataclass(frozen=True)
class JudgeResult:
    """A candidate judged, or the question sealed."""

    judged: Judged
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Verdict, reasons, intervals, sizes, trials, next runs and the seal; or the new seal."""
        judged = self.judged
        facts = {} if judged.judgement is None else judged.judgement.facts()
        sealed = None if judged.sealed is None else asdict(judged.sealed)
        return facts | {"commands": list(judged.commands), "sealed": sealed}

    def show(self, screen: Screen) -> None:
        """The judgement in words, and the commands of the next runs."""
        judged = self.judged
        if judged.judgement is not None:
            screen.say(judged.judgement.report())
        if judged.commands:
            screen.say("[[Commands of the first of the next runs]]")
            screen.say("\n".join(f"    {line}" for line in judged.commands))
        if (sealed := judged.sealed) is not None:
            screen.say(f"sealed in {sealed.path}: {sealed.date}, SHA-256 {sealed.hash}")
            known = f"{sealed.known} runs had ended" if not sealed.note else sealed.note
            screen.say(f"    known now: {known}")
            screen.say("    publish the hash, make the runs, and give the same command again")


def run(options: JudgeVerbOptions, screen: Screen) -> JudgeResult:
    """Judge a change: scaling judge study=NAME arm=optimizer.name baseline=adamw candidate=muon at=1e21.

    Or two studies, scaling judge studies=[baseline,candidate] at=1e21, or a file, data=FILE
    arm=COLUMN. From pairs of runs with one seed at three sizes or more: the compute multiplier at
    each, its trend, and its value at the target, in FLOPs and in measured device time. The verdict
    is transfers, fades, reverses or cannot tell. Its intervals hold at every look, so judge after
    every run and stop at the first verdict. Both arms need equal numbers of trials (learning rate,
    batch, weight decay) at two sizes or more, and fresh seeds that chose no trial. seal=FILE seals
    the question before its runs are made; with the same file later, it is compared.
    """
    if sum(map(bool, (options.study, options.studies, options.data))) != 1:
        raise ConfigError(
            "name what is judged: study=NAME arm=KEY, studies=[BASELINE,CANDIDATE], or data=FILE"
            " arm=COLUMN"
        )
    outputs = Path(options.outputs).absolute()
    if options.data is not None:
        return JudgeResult(judge_file(options.data, options))
    if options.study is not None:
        return JudgeResult(judge_study(outputs, options.study, options))
    return JudgeResult(judge_studies(outputs, options.studies, options))


VERB = Verb(
    "judge whether a change still helps at scale",
    "scaling judge study=NAME arm=KEY baseline=A candidate=B at=1e21 | studies=[A,B] at=1e21 |"
    " data=FILE arm=COLUMN ...",
    run,
    JudgeVerbOptions,
)
