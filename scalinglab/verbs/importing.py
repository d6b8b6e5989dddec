"""The verb that brings in runs which other programs made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalinglab.as_json import print_json
from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.verb import Verb, open_console, say

_WANDB = "wandb:"


@dataclass(frozen=True)
class ImportOptions:
    """Options of ``scaling import``."""

    to: str | None = option("the study's name; without it nothing is stored", None)
    source: list[str] = option("files, where their names hold an equals sign", [])
    runs: str | None = option("a table of what is known of each run", None)
    columns: dict[str, Any] = option(
        "columns.N=params says which is N, columns.N='params_m * 1e6'"
        " in which unit; a number holds for every row:"
        " columns.batch=512",
        {},
    )
    unit: str | None = option("of the losses: nats, bits, bits_per_byte or perplexity", None)
    pattern: list[str] = option(
        "of the lines of a text log: 'step {step} | loss {train_loss} | lr {lr}'", []
    )
    zero_based: bool | None = option(
        "whether the first step is number 0; told from the steps if not given", None
    )
    sweep: str | None = option("of a wandb project, the runs of one sweep", None)
    tags: list[str] = option("of a wandb project, the runs with one of these tags", [])
    state: list[str] = option("of a wandb project, the runs in one of these states: finished", [])
    n_count: str | None = option("what N counts: n_total, n_matmul or n_block", None)
    tied: bool = option("embedding and unembedding are one matrix", False)
    held_out: str | None = option("runs to predict, not to fit: 'N > 1e9'", None)
    question: str = option("what the study asks, for its report", "")
    law: str = option("that the study fits", "chinchilla")
    budgets: list[float] = option("FLOPs that its report splits", [])
    curve_law: str = option("the law of its curves", "lr_annealing")
    curve_held_out: str | None = option("the schedule whose curves are predicted, not fitted", None)
    outputs: str = option("the folder of all runs", "outputs")
    json: bool = option("print one JSON object; --json says the same", False)


def import_verb(arguments: Sequence[str]) -> int:
    """Bring in runs made elsewhere: scaling import sweep.csv to=sweep columns.N=params.

    Reads a table with a row a run or a row a step (CSV, TSV, parquet, JSON), several tables of the
    same runs, a text log whose lines pattern= describes, a folder of tables, of Lightning's
    CSVLogger, of Hugging Face's Trainer or of TensorBoard events, a chart exported from wandb, or
    wandb:ENTITY/PROJECT (sweep=, tags=, state= choose its runs). What had to be decided is said;
    what cannot be decided is refused with its row. Without to=NAME nothing is stored.
    docs/importing.md says more.
    """
    from scalinglab.options import read_options

    bare = [a for a in arguments if "=" not in a and not a.startswith("--")]
    options = read_options(ImportOptions, [a for a in arguments if a not in bare])
    sources = [*bare, *options.source]
    if not sources:
        raise ConfigError("name what is imported: scaling import FILE or FOLDER to=NAME")
    _check_law(options.law)
    imported = _read(sources, options)
    console = open_console()
    if not options.json:
        say(console, imported.report())
    if options.to is not None:
        _store(imported, sources, options)
    if options.json:
        print_json(
            {
                "study": options.to,
                "runs": imported.runs,
                "notes": imported.notes,
                "rows_of_curves": len(imported.curves),
            }
        )
    elif options.to is None:
        say(console, "nothing was stored; to=NAME makes it a study")
    else:
        say(
            console,
            f"study {options.to}: scaling fit study={options.to}, scaling report"
            f" study={options.to}",
        )
    return 0


def _store(imported: Any, sources: list[str], options: ImportOptions) -> None:
    from scalinglab import analysis

    analysis.save_study(
        imported,
        options.outputs,
        options.to,
        held_out=options.held_out,
        sources=[s for s in sources if not s.startswith(_WANDB)],
        question=options.question,
        answer={k: getattr(options, k) for k in ("law", "budgets", "curve_law", "curve_held_out")},
    )


def _check_law(name: str) -> None:
    from scalinglab.analysis.laws import find

    find(name)


def _read(sources: list[str], options: ImportOptions) -> Any:
    from scalinglab import analysis

    how = {
        "columns": options.columns,
        "unit": options.unit,
        "n_count": options.n_count,
        "tied": options.tied,
        "zero_based": options.zero_based,
    }
    remote = [s.removeprefix(_WANDB) for s in sources if s.startswith(_WANDB)]
    if not remote:
        if options.sweep or options.tags or options.state:
            raise ConfigError(
                f"sweep, tags and state choose runs of {_WANDB}ENTITY/PROJECT; the source is a file"
            )
        return analysis.read_runs(sources, runs=options.runs, pattern=options.pattern, **how)
    if len(sources) > 1:
        raise ConfigError(f"{_WANDB}{remote[0]} is imported alone, not with other sources")
    from scalinglab.wandb_mirror import wandb_runs

    runs = wandb_runs(remote[0], sweep=options.sweep, tags=options.tags, state=options.state)
    return analysis.read_wandb(runs, **how)


VERBS = {
    "import": Verb(
        "bring in runs made elsewhere: tables, wandb, Lightning, TensorBoard",
        "scaling import FILE|FOLDER|wandb:ENTITY/PROJECT [to=NAME] [columns.N=NAME ...]",
        import_verb,
        ImportOptions,
    ),
}
