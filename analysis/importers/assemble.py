"""From raw rows to runs and curves, with a note on each decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.branches import root_of
from scalinglab.analysis.importers.columns import no_loss
from scalinglab.analysis.importers.curves import of_curves
from scalinglab.analysis.importers.formats.raw import Raw, named_apart
from scalinglab.analysis.importers.run_rows import NOT_FINITE, of_runs, without_not_finite
from scalinglab.analysis.importers.typed import about_runs, typed
from scalinglab.analysis.importers.units import check_plausible, in_nats, resolution_of, with_counts
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.analysis.tables.labels import differing_labels, label_sentences
from scalinglab.analysis.tables.powers import short
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import BY_ACTIVE, BY_SIZE
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ODD_COMPUTE = 20  # attention and embeddings change C by less
_ENOUGH = 8  # different values, of which one can be called far from the others
_NAMED = 8  # columns that are named


@dataclass(frozen=True, repr=False)
class Imported(Shown):
    """Runs made elsewhere.

    Attributes
    ----------
    runs : DataFrame
        One row per run, as from `analysis.load`: ``run_id, N, D, C, loss`` (nats per token),
        counts, ``lr``, ``seed``, ``cluster``, ``status`` ("done", "diverged" or what the log says),
        ``resolution`` where losses were rounded, and the columns of the file that hold one value a
        run.
    curves : DataFrame
        One row per logged step, as `analysis.load_curves` gives, with ``thinned`` for the laws of
        curves; empty where there is one row per run.
    notes : tuple of str
        One sentence for each decision.
    decided : tuple of str
        The notes that a fit should repeat: rows left out, joined or converted.
    cautions : tuple of str
        The notes that a report should repeat: what was taken as said that the file may not mean.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    @property
    def shown(self) -> Overview:
        """As `Shown`: the runs, and every decision that the import took."""
        names = ("run_id", "N", "D", "C", "loss", "lr", "batch", "seed", "schedule", "status")
        table = self.runs.reindex(columns=names).dropna(axis=1, how="all")
        curves = f", {len(self.curves):,} rows of curves" if len(self.curves) else ""
        title = f"{len(self.runs)} runs made elsewhere{curves}"
        return Overview(title, {"": table}, warnings=self.notes)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Loss against compute of the runs; their curves, where sizes or tokens are not known."""
        sized = self.runs.reindex(columns=["N", "D", "loss"]).dropna()
        if sized.empty and len(self.curves):
            return self._draw("curves", self.curves, ax=ax)
        return self._draw("runs", self.runs, ax=ax)

    def report(self) -> str:
        """What was read, in a few lines."""
        is_fitted = can_be_fitted(self.runs)
        fitted = int(is_fitted.sum())
        runs = self.runs[is_fitted] if fitted else self.runs  # the ranges are of these
        lines = [
            f"{fitted} of {len(self.runs)} run{'s' * (len(self.runs) != 1)} can be fitted"
            + (f"; {len(self.curves):,} rows of curves" if len(self.curves) else "")
        ]
        for name in ("N", "D", "loss"):
            if name in runs and runs[name].notna().any():
                low, high = (_written(name, end) for end in (runs[name].min(), runs[name].max()))
                lines.append(f"    {name:<5} {low}" + (f" to {high}" if high != low else ""))
            else:
                lines.append(f"    {name:<5} unknown; columns.{name}=NAME says which column it is")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def assemble(
    raws: Sequence[Raw],
    *,
    columns: Mapping[str, str | float] | None = None,
    runs: pd.DataFrame | Raw | None = None,
    unit: str | None = None,
    n_count: str | None = None,
    tied: bool = False,
    zero_based: bool | None = None,
) -> Imported:
    """Make runs and curves of raw rows.

    Parameters
    ----------
    raws : sequence of Raw
        Several with the same runs are joined by run and step (training and validation logs).
    columns : mapping, optional
        Our name -> column, or what is made of columns (``"a + b"``, ``"m * 1e6"``, ``"log(ppl)"``),
        or a number that holds for every row.
    runs : DataFrame, optional
        What is known of each run, one row each, by its ``run``.
    unit : {"nats", "bits", "bits_per_byte", "perplexity"}, optional
        Of the losses.
    n_count : {"n_block", "n_matmul", "n_total"}, optional
        What ``N`` counts.
    tied : bool
        Whether embedding and unembedding are one matrix.
    zero_based : bool, optional
        Whether the first step is number 0. Default: by the steps themselves.

    Raises
    ------
    UserError
        For what cannot be read without guessing: one sentence with the file and the row. Of several
        runs, one that cannot be read is left out and named.
    """
    renamed = dict(columns or {})
    about = None if runs is None else about_runs(runs, renamed)
    read = typed(named_apart(raws), renamed, about)
    if any("step" in part for _, part in read.parts):
        table, curves = of_curves(read, about, zero_based)
    else:
        table, curves = of_runs(read.parts, about, renamed), pd.DataFrame()
    if "loss" not in table:
        raise UserError(no_loss(raws))
    curves, _ = in_nats(curves, unit, read.sources)
    table, notes = in_nats(table, unit, read.sources)
    read.notes.extend(notes)
    check_plausible(table, unit)
    table, notes = with_counts(table, n_count, tied)
    read.notes.extend(notes)
    table, notes = with_resolution(table, curves)
    decided = [*dict.fromkeys([*read.notes, *notes])]
    about_columns = _other_columns(read.others, table)
    said = [*read.names, *decided, *about_columns]
    return _finished(table, curves, n_count, said, tuple(decided))


def with_resolution(runs: pd.DataFrame, curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """How far losses were rounded, as a column, and a sentence."""
    source = curves["loss"] if "loss" in curves else runs["loss"]
    step = resolution_of(source)
    if step is None:
        return runs, []
    return runs.assign(resolution=step), [
        f"losses are given in steps of about {step:.2g}: no fit is taken to be surer than that"
        " allows"
    ]


def fittable(runs: pd.DataFrame) -> pd.Series:
    """Runs with a loss, and with N and D where the file has them at all."""
    return _lacks(runs).eq("")


def can_be_fitted(runs: pd.DataFrame) -> pd.Series:
    """Runs that are done and have what a fit needs."""
    return fittable(runs) & (runs["status"] == State.DONE)


def _lacks(runs: pd.DataFrame) -> pd.Series:
    """What a fit would need and a run has not: "loss at the end and no D"; empty for most."""
    needed = ["loss", *(c for c in ("N", "D") if c in runs and runs[c].notna().any())]
    words = {"loss": "loss at the end"}
    missing = runs[needed].isna()
    return pd.Series(
        [
            " and no ".join(words.get(c, c) for c in needed if row[c])
            for _, row in missing.iterrows()
        ],
        index=runs.index,
        dtype=object,
    )


def _unmeasured(finished: pd.DataFrame) -> list[str]:
    """A sentence for each kind of cells that some finished runs lack; a run counts in one."""
    counts = _lacks(finished).value_counts(sort=False)
    return [
        f"{count} run{'s have' if count > 1 else ' has'} no {quantity} and cannot be fitted"
        for quantity, count in counts.items()
        if quantity
    ]


def _written(name: str, value: float) -> str:
    return short(value) if name in ("N", "D") else f"{value:.4f}"


def _far_values(runs: pd.DataFrame) -> list[str]:
    """A sentence for each end of N, D and the loss that lies far from all other runs.

    Far is farther, on a logarithmic scale, than the others are from each other: a slip of a unit,
    or a loss that diverged.
    """
    sentences = []
    for name in ("N", "D", "loss"):
        values = (
            runs[name][runs[name] > 0].sort_values() if name in runs else pd.Series(dtype=float)
        )
        if values.nunique() < _ENOUGH:
            continue
        for far, rest in ((values.iloc[-1:], values.iloc[:-1]), (values.iloc[:1], values.iloc[1:])):
            low, high, value = rest.min(), rest.max(), float(far.iloc[0])
            gap = max(np.log(value / high), np.log(low / value))
            if gap > np.log(high / low):
                sentences.append(
                    f"{name} = {_written(name, value)} of run {runs['run'][far.index[0]]!r} is far"
                    f" from that of all others ({_written(name, low)} to {_written(name, high)}):"
                    " is it right?"
                )
    return sentences


def _other_columns(columns: Sequence[str], runs: pd.DataFrame) -> list[str]:
    """A sentence about the columns of a file that say nothing that a fit needs."""
    kept = [c for c in columns if c in runs]
    return [f"kept for exclude= and arm=, and read by no law: {_listed(kept)}"] if kept else []


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more columns" if more > 0 else "")


def _unfinished(runs: pd.DataFrame) -> list[str]:
    """A sentence for each word that a table has for runs that are not fitted."""
    words = runs["status"][~runs["status"].isin([State.DONE])].value_counts()
    return [
        f"{count} run{'s are' if count > 1 else ' is'} {word!r} and not fitted"
        for word, count in words.items()
    ]


def _passed(runs: pd.DataFrame) -> pd.Series:
    """The parameters that a token passes through, where the file has them, else N."""
    return runs["n_active"].fillna(runs["N"]) if "n_active" in runs else runs["N"]


def _odd_compute(runs: pd.DataFrame) -> list[str]:
    """A sentence if C is far from 6 N D: one of them counts in thousands, millions, billions."""
    if not {"N", "D", "C"} <= set(runs):
        return []
    ratio = float((runs["C"] / (6 * _passed(runs) * runs["D"])).median())
    if not abs(np.log(ratio)) > np.log(_ODD_COMPUTE):
        return []
    return [
        f"C is {ratio:.2g} times 6 N D: if one of them counts thousands, millions or billions,"
        " say columns.N='NAME * 1e6'"
    ]


def _finished(
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    n_count: str | None,
    notes: list[str],
    decided: tuple[str, ...],
) -> Imported:
    parents = {}
    if "parent" in runs:
        branches = runs[runs["parent"].notna()]
        parents = dict(zip(branches["run"], branches["parent"].astype(str), strict=True))
    if "cluster" not in runs:
        runs = runs.assign(cluster=[root_of(r, parents) for r in runs["run"]])
    if {"N", "D"} <= set(runs) and "C" not in runs:
        is_active = runs["n_active"].notna() if "n_active" in runs else [False] * len(runs)
        conventions = [BY_ACTIVE if by_active else BY_SIZE for by_active in is_active]
        runs = runs.assign(C=6 * _passed(runs) * runs["D"], flops_convention=conventions)
    if "N" in runs:
        runs = runs.assign(
            n_count=n_count
            or next(
                (c for c in ("n_matmul", "n_total", "n_block", "n_active") if c in runs), "as given"
            )
        )
    notes += _odd_compute(runs)
    notes += _far_values(runs[runs["status"] == State.DONE])
    notes += _unmeasured(runs[runs["status"] == State.DONE])
    is_taken = runs[NOT_FINITE].to_numpy(bool) if NOT_FINITE in runs else np.zeros(len(runs), bool)
    notes += _unfinished(runs[~is_taken])
    runs, cautions = without_not_finite(runs)
    notes += cautions
    keys = [c for c in ("N", "D") if c in runs]
    if len(keys) == 2:
        notes += label_sentences(differing_labels(runs[runs["status"] == State.DONE], keys), keys)
    # What a program calls run_id is kept beside what tells its runs apart.
    names = {"run_id": "logged_run_id", "run": "run_id"}
    runs = runs.rename(columns=names).drop(columns="_row", errors="ignore")
    if len(curves):
        of_run = [c for c in ("N", "seed", "schedule", "status", "resolution") if c in runs]
        curves = curves.merge(
            runs[["run_id", *of_run]].rename(columns={"run_id": "run"}),
            on="run",
            how="left",
        )
    return Imported(runs, curves, tuple(notes), decided, tuple(cautions))
