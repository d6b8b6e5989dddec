"""Runs that other programs made, read and stored as a study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab import analysis
from scalinglab.analysis.default_laws import CURVE_LAW, LAW
from scalinglab.analysis.laws.registry import read_as
from scalinglab.options import option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.fields import ABOVE_0

if TYPE_CHECKING:
    from scalinglab.analysis.importers.assemble import Imported

_WANDB = "wandb:"


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of an import: where the runs are, how they are read, the study's question."""

    source: list[str] = option(
        "files, a folder, wandb:ENTITY/PROJECT or wandb:FOLDER; source= is needed where a name"
        " holds an equals sign",
        [],
        bare=True,
    )
    to: str | None = option("name of the study; without it nothing is stored", None)
    runs: str | None = option("a table with facts about each run", None)
    columns: dict[str, str | float] = option(
        "column names in the table: columns.N=params, with a unit columns.N='params_m * 1e6';"
        " a number holds for every row: columns.batch=512",
        {},
    )
    unit: str | None = option("unit of the losses: nats, bits, bits_per_byte or perplexity", None)
    pattern: list[str] = option(
        "form of the lines of a text log: 'step {step} | loss {train_loss} | lr {lr}'", []
    )
    zero_based: bool | None = option(
        "the first step is number 0; default: decided from the steps", None
    )
    sweep: str | None = option("wandb: only the runs of this sweep", None)
    tags: list[str] = option("wandb: only runs with one of these tags", [])
    state: list[str] = option("wandb: only runs in one of these states: finished", [])
    n_count: str | None = option("what N counts: n_total, n_matmul or n_block", None)
    tied: bool = option("embedding and unembedding are one matrix", False)
    held_out: str | None = option("runs to predict, not to fit: 'N > 1e9'", None)
    question: str = option("the question of the study, for its report", "")
    law: str = option("the law that the study fits", LAW)
    budgets: list[float] = option(
        "FLOPs that its report allocates", [], ABOVE_0, meant_by=("C", "compute")
    )
    curve_law: str = option("the law of its curves", CURVE_LAW)
    curve_held_out: str | None = option("a schedule whose curves are predicted, not fitted", None)


def read_imported(options: ImportOptions) -> Imported:
    """Read runs that other programs made.

    Raises
    ------
    UserError
        If something cannot be read without guessing, or a law is unknown.
    """
    if not options.source:
        raise ConfigError("name what is imported: scaling import FILE or FOLDER to=NAME")
    for law in (options.law, options.curve_law):
        read_as(law)
    return _read(options)


def store(imported: Imported, outputs: Path, name: str, options: ImportOptions) -> Path:
    """Store runs that were read as a study.

    Returns
    -------
    Path
        The study's folder.

    Raises
    ------
    UserError
        If a planned study has the name, no folder can have it, or the condition of the runs that
        are held out cannot be read.
    """
    return analysis.save_study(
        imported,
        outputs,
        name,
        held_out=options.held_out,
        sources=[s for s in options.source if not s.startswith(_WANDB)],
        question=options.question,
        answer={k: getattr(options, k) for k in ("law", "budgets", "curve_law", "curve_held_out")},
    )


def _read(options: ImportOptions) -> Imported:
    reading: dict[str, Any] = {
        "columns": options.columns,
        "unit": options.unit,
        "n_count": options.n_count,
        "tied": options.tied,
        "zero_based": options.zero_based,
    }
    wandb_sources = [s.removeprefix(_WANDB) for s in options.source if s.startswith(_WANDB)]
    if not wandb_sources:
        if options.sweep or options.tags or options.state:
            raise ConfigError(
                f"sweep, tags and state choose runs of {_WANDB}ENTITY/PROJECT or {_WANDB}FOLDER; "
                "the source is a file"
            )
        return analysis.read_runs(
            options.source, runs=options.runs, pattern=options.pattern, **reading
        )
    source = wandb_sources[0]
    if len(options.source) > 1:
        raise ConfigError(f"{_WANDB}{source} is imported alone, not with other sources")
    if _is_folder(source):
        if options.sweep:
            raise ConfigError("sweep chooses runs of wandb's server; a folder does not tell it")
        # Imported here, because wandb is an extra.
        with needs_extra("an import from wandb's folders"):
            from scalinglab.wandb_folder import folder_runs

            folder = Path(source).expanduser()
            runs = folder_runs(folder, tags=options.tags, state=options.state)
        return analysis.read_wandb(runs, **reading)
    # Imported here, because wandb is an extra.
    with needs_extra("an import from wandb"):
        from scalinglab.wandb_client import wandb_runs

    project_runs = wandb_runs(source, sweep=options.sweep, tags=options.tags, state=options.state)
    return analysis.read_wandb(project_runs, **reading)


def _is_folder(source: str) -> bool:
    """Whether a source is a folder that wandb wrote, not the two names of a project."""
    return source[:1] in ("/", ".", "~") or source.count("/") > 1 or Path(source).is_dir()
