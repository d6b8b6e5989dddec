"""``scaling judge``: does a change still help at scale."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.judge import Judged, JudgeOptions, judge_file, judge_studies, judge_study
from scalinglab.terminal import Screen
from scalinglab.two_recipes import TwoRecipes
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class JudgeVerbOptions(TwoRecipes, JudgeOptions):
    """Options of ``scaling judge``."""


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
            screen.say(in_powers(judged.judgement.report()))
        if judged.commands:
            screen.say("[[Commands of the first of the next runs]]")
            screen.say("\n".join(f"    {line}" for line in judged.commands))
        if (sealed := judged.sealed) is not None:
            screen.say(f"sealed in {sealed.path}: {sealed.date}, SHA-256 {sealed.hash}")
            known_now = f"{sealed.known} runs had ended" if not sealed.note else sealed.note
            screen.say(f"    known now: {known_now}")
            screen.say("    publish the hash, make the runs, and give the same command again")


def run(options: JudgeVerbOptions, screen: Screen) -> JudgeResult:
    """Judge a change: scaling judge study=NAME arm=KEY baseline=A candidate=B at=1e21.

    For instance arm=optimizer.name baseline=adamw candidate=muon; or two studies,
    studies=[baseline,candidate] at=1e21, or a file, data=FILE arm=COLUMN. From pairs of runs with
    one seed at three sizes or more: the compute multiplier at each size, its trend, and its value
    at the target, in FLOPs and in measured device time. The verdict
    is transfers, fades, reverses or cannot tell. Its intervals hold at every look, so judge after
    every run and stop at the first verdict. Both arms need equal numbers of trials (learning rate,
    batch, weight decay) at two sizes or more, and fresh seeds that chose no trial. seal=FILE seals
    the question before its runs are made; with the same file later, it is compared.
    """
    return JudgeResult(
        options.answer(
            "judged",
            lambda file: judge_file(file, options),
            lambda outputs, study: judge_study(outputs, study, options),
            lambda outputs, studies: judge_studies(outputs, studies, options),
            two="BASELINE,CANDIDATE",
        )
    )


VERB = Verb(
    "judge whether a change still helps at scale",
    "scaling judge study=NAME arm=KEY baseline=A candidate=B at=1e21 | studies=[A,B] at=1e21 |"
    " data=FILE arm=COLUMN ...",
    run,
    JudgeVerbOptions,
    shows_bar=True,
)
