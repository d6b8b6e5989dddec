"""`read_runs`: whatever other programs left behind, as runs and curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from analysis.importers.raw import Raw, read_file, refuse_pickle
from analysis.importers.reading import Imported, assemble

_TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".csv.gz")


def read_runs(
    source: str | Path | Sequence[str | Path],
    *,
    columns: Mapping[str, str | float] | None = None,
    runs: str | Path | None = None,
    unit: str | None = None,
    n_count: str | None = None,
    tied: bool = False,
) -> Imported:
    """Read runs that other programs made.

    Parameters
    ----------
    source : path or list of paths
        A table (CSV, TSV, parquet, JSON lines; one row a run, or one row a step), a CSV exported
        from a wandb chart, a folder of Lightning's CSVLogger, a folder of TensorBoard event files,
        or a folder of tables, one a run. Several tables of the same runs are joined by run and
        step.
    columns : mapping, optional
        Our name -> column of the table, or a number that holds for every row: ``{"N": "params",
        "loss": "val/loss", "batch": 512, "context": 2048}``. Names are those of
        `analysis.importers.columns.KNOWN`; ``loss_NAME`` keeps a further validation set.
    runs : path, optional
        A table of what is known of each run (sizes, seeds, parents), one row each.
    unit : {"nats", "bits", "bits_per_byte"}, optional
        Of the losses; bits per byte need ``bytes_per_token`` in `columns`.
    n_count : {"n_block", "n_matmul", "n_total"}, optional
        What ``N`` counts. With ``vocab`` and ``width`` the other counts follow.
    tied : bool
        Whether embedding and unembedding are one matrix.

    Returns
    -------
    Imported

    Raises
    ------
    ValueError
        For what cannot be read without guessing, or only by running what it contains.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    raws = [raw for one in sources for raw in _raws(Path(one))]
    about = None if runs is None else read_file(Path(runs))
    return assemble(raws, columns=columns, runs=about, unit=unit, n_count=n_count, tied=tied)


def _raws(path: Path) -> list[Raw]:
    from analysis.importers.wandb_export import is_chart, read_chart

    refuse_pickle(path)
    if not path.exists():
        raise ValueError(f"{path}: there is no such file or folder")
    if not path.is_dir():
        if path.name.startswith("events.out.tfevents"):
            from analysis.importers.tensorboard import read_events

            return read_events([path])
        raw = read_file(path)
        return [read_chart(raw)] if is_chart(raw.frame) else [raw]
    for found in _FOLDERS:
        raws = found(path)
        if raws:
            return raws
    raise ValueError(
        f"{path} holds no tables ({', '.join(_TABLES)}), no metrics.csv of Lightning and no"
        " TensorBoard events"
    )


def _tensorboard(path: Path) -> list[Raw]:
    from analysis.importers.tensorboard import read_events

    return read_events(sorted(path.rglob("*events.out.tfevents*")))


def _lightning(path: Path) -> list[Raw]:
    from analysis.importers.csv_logger import read_csv_logs

    return read_csv_logs(path)


def _tables(path: Path) -> list[Raw]:
    files = [f for f in sorted(path.iterdir()) if f.name.endswith(_TABLES)]
    return [read_file(file) for file in files]


_FOLDERS: tuple[Callable[[Path], list[Raw]], ...] = (_lightning, _tensorboard, _tables)
