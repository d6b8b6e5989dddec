"""``scaling export``: checkpoints as folders that other tools load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.options import SELECTION, OutputsOptions, option
from scalinglab.scaling.fields import AT_LEAST_0
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.scaling.engine.export.export import Exported


@dataclass(frozen=True, kw_only=True)
class ExportOptions(OutputsOptions):
    """Options of ``scaling export``."""

    study: str = option("the study whose runs are exported")
    runs: str = option(f"which runs: {SELECTION}", "done")
    to: str = option("the folder in which each run gets a folder", "exported")
    form: str = option("the format: llama, qwen3, scaling_laboratory, or auto", "auto")
    step: int | None = option("step of the checkpoint; null: the last", None, AT_LEAST_0)


@dataclass(frozen=True)
class ExportedRuns:
    """The folders, one a run."""

    folders: Sequence[Exported]

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Each with its run, step and form."""
        return {"exported": [vars(exported) for exported in self.folders]}

    def show(self, screen: Screen) -> None:
        """A line a folder."""
        for exported in self.folders:
            note = "" if exported.new else " (was there)"
            tokenizer = "with its tokenizer" if exported.tokenizer else "without a tokenizer"
            screen.say(
                f"{exported.folder}: step {exported.step} as {exported.form}, {tokenizer}{note}"
            )


def run(options: ExportOptions, screen: Screen) -> ExportedRuns:
    """Write checkpoints for other tools: safetensors, config.json and a tokenizer, a folder a run.

    Where the network equals an architecture of transformers, it becomes one (form=llama, qwen3);
    else a modelling file lies beside the weights, and from_pretrained wants trust_remote_code=True.
    The weights are those that validation is measured with. docs/exporting.md has examples.
    """
    study = Study.open(options.study, outputs=options.outputs, screen=screen)
    return ExportedRuns(study.export(options.to, options.runs, options.form, options.step))


VERB = Verb(
    "write checkpoints for Hugging Face's transformers and tools that read them",
    "scaling export study=NAME [runs=SELECTION] [to=exported] [form=auto] [step=400]",
    run,
    ExportOptions,
)
