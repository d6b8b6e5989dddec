"""`read_runs`: files of other programs as runs and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from scalinglab.analysis.importers.assemble import Imported, assemble
from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.formats.registry import Request, read_path
from scalinglab.analysis.importers.formats.wandb_chart import is_chart, read_chart
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.text.nearest import nearest


def read_runs(
    source: str | Path | Sequence[str | Path],
    *,
    columns: Mapping[str, str | float] | None = None,
    runs: str | Path | None = None,
    unit: str | None = None,
    n_count: str | None = None,
    tied: bool = False,
    pattern: str | Sequence[str] = (),
    zero_based: bool | None = None,
) -> Imported:
    """Read runs that other programs made.

    Parameters
    ----------
    source : path or list of paths
        A table (CSV, TSV, parquet, JSON lines; one row per run or per step), a CSV exported from a
        wandb chart, a folder of Lightning's CSVLogger, a folder of TensorBoard event files, or a
        folder with one table per run. Several tables of the same runs are joined by run and step.
    columns : mapping, optional
        Our name -> column of the table, or a number that holds for every row: ``{"N": "params",
        "loss": "val/loss", "batch": 512, "context": 2048}``. Names are those of
        `scalinglab.analysis.importers.roles.ROLES`; ``loss_NAME`` keeps a further validation set.
    runs : path, optional
        A table of what is known of each run (sizes, seeds, parents), one row each.
    unit : {"nats", "bits", "bits_per_byte"}, optional
        Of the losses; bits per byte need ``bytes_per_token`` in `columns`.
    n_count : {"n_block", "n_matmul", "n_total"}, optional
        What ``N`` counts. With ``vocab`` and ``width`` the other counts follow.
    tied : bool
        Whether embedding and unembedding are one matrix.
    pattern : str or list of str, optional
        How lines of a text log read: ``"step {step}/{steps} | loss {train_loss} | lr {lr}"``.
    zero_based : bool, optional
        Whether the first step is number 0, so that the last, 199, is the 200th. Default: by the
        steps themselves.

    Returns
    -------
    Imported

    Raises
    ------
    UserError
        For what cannot be read without guessing, or only by running what it contains.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    raws = read_raws(sources, pattern)
    about = None if runs is None else read_raws([runs])[0]
    scores = [raw for raw in raws if raw.beside]
    if scores and len(scores) == len(raws):
        raise UserError(
            f"{scores[0].name}: results of a harness hold no sizes and losses; name a table of the"
            " runs with them (or, of exported runs of this laboratory, study=NAME)"
        )
    imported = assemble(
        [raw for raw in raws if not raw.beside],
        columns=columns,
        runs=about,
        unit=unit,
        n_count=n_count,
        tied=tied,
        zero_based=zero_based,
    )
    return _with_scores(imported, scores) if scores else imported


def _with_scores(imported: Imported, scores: Sequence[Raw]) -> Imported:
    """The runs with the scores of those that have some; of one score the last file counts."""
    by_run = pd.concat([raw.frame for raw in scores], ignore_index=True).groupby("run").last()
    ids = imported.runs["run_id"].astype(str)
    unknown = sorted(set(by_run.index) - set(ids))
    if unknown:
        raise UserError(
            f"scores are of the model {unknown[0]!r}, which is no run"
            f"{nearest(unknown[0], imported.runs['run_id'])}"
        )
    if both := [name for name in by_run if name in imported.runs]:
        raise UserError(
            f"column {both[0]!r} is in the table of runs and in results of a harness; name one of "
            "them"
        )
    runs = imported.runs.join(by_run.astype(float).reindex(ids).set_axis(imported.runs.index))
    notes = [f"scores of {len(by_run)} of {len(runs)} runs were joined by the names of models"]
    notes += [note for raw in scores for note in raw.notes]
    return replace(imported, runs=runs, notes=(*imported.notes, *notes))


def read_raws(sources: Sequence[str | Path], pattern: str | Sequence[str] = ()) -> list[Raw]:
    """The tables of files and folders, under their own names.

    Raises
    ------
    UserError
        If no file is named, or one cannot be read.
    """
    if not sources:
        raise UserError("no file is named")
    request = Request((pattern,) if isinstance(pattern, str) else tuple(pattern))
    return [raw for source in sources for raw in _raws(Path(source), request)]


def _raws(path: Path, request: Request) -> list[Raw]:
    return [read_chart(raw) if is_chart(raw.frame) else raw for raw in read_path(path, request)]
