"""From raw rows to runs and curves, with an account of all that had to be decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.importers.attempts import one_row_a_step
from analysis.importers.branches import root_of, with_history
from analysis.importers.columns import choose, take
from analysis.importers.raw import Raw
from analysis.importers.units import in_nats, losses, resolution_of, with_counts, with_tokens
from analysis.tables.factors import has

_DONE = ("done", "finished", "completed", "complete", "success")
_LATE = 0.02  # of a run: a last validation this much before its end is its final loss
_ODD_COMPUTE = 20  # attention and embeddings change C by less
_CURVE = ("run", "step", "tokens", "lr", "train_loss", "grad_norm", "loss", "bpb")


@dataclass(frozen=True)
class Imported:
    """Runs made elsewhere.

    Attributes
    ----------
    runs : DataFrame
        One row a run, as `analysis.load` gives: ``run_id, N, D, C, loss`` (nats per token), counts,
        ``lr``, ``seed``, ``cluster``, ``status`` ("done", "diverged" or what the log says),
        ``resolution`` where losses were rounded, and the columns of the file that hold one value a
        run.
    curves : DataFrame
        One row a logged step, as `analysis.load_curves` gives, with ``thinned`` for the laws of
        curves; empty where there is one row a run.
    notes : tuple of str
        What had to be decided, a sentence each.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()

    def report(self) -> str:
        """What was read, in a few lines."""
        runs, done = self.runs, (self.runs["status"] == "done").sum()
        lines = [f"{len(runs)} run{'s' * (len(runs) != 1)}, {done} done"
                 + (f", {len(self.curves):,} rows of curves" if len(self.curves) else "")]
        for name in ("N", "D", "loss"):
            if name in runs and runs[name].notna().any():
                low, high = runs[name].min(), runs[name].max()
                lines.append(f"    {name:<5} {low:.5g}" + (f" to {high:.5g}" if high > low else ""))
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
) -> Imported:
    """Make runs and curves of raw rows.

    Parameters
    ----------
    raws : sequence of Raw
        Several with the same runs are joined by run and step (training and validation logs).
    columns : mapping, optional
        Our name -> column, or a number that holds for every row.
    runs : DataFrame, optional
        What is known of each run, one row each, by its ``run``.
    unit : {"nats", "bits", "bits_per_byte"}, optional
        Of the losses.
    n_count : {"n_block", "n_matmul", "n_total"}, optional
        What ``N`` counts.
    tied : bool
        Whether embedding and unembedding are one matrix.

    Raises
    ------
    ValueError
        For what cannot be read without guessing: one sentence with the file and the row.
    """
    given = dict(columns or {})
    about = None if runs is None else _about(runs, given)
    parts, notes, sources = [], [note for raw in raws for note in raw.notes], []
    for raw in raws:
        mine = {k: v for k, v in given.items()
                if not isinstance(v, str) or has(raw.frame, v) or not _elsewhere(v, k, raws, about)}
        chosen = choose(raw.frame, mine, raw.name)
        sources += [chosen[c] for c in losses(pd.DataFrame(columns=list(chosen)))]
        notes += [f"{raw.name}: {ours} is its column {theirs!r}"
                  for ours, theirs in chosen.items() if ours != theirs and ours not in mine]
        parts.append((raw, take(raw, mine)))
    if any("step" in part for _, part in parts):
        found = _of_curves(parts, about, notes)
    else:
        found = _of_runs(parts, about)
    runs_table, curves = found
    if "loss" not in runs_table:
        raise ValueError(f"{raws[0].name}: no column is the loss; say columns.loss=NAME (it has"
                         f" {', '.join(map(str, raws[0].frame.columns[:20]))})")
    curves, _ = in_nats(curves, unit, sources)
    runs_table, said = in_nats(runs_table, unit, sources)
    notes += said
    runs_table, said = with_counts(runs_table, n_count, tied)
    notes += said
    runs_table, said = _rounded(runs_table, curves)
    return _finished(runs_table, curves, n_count, [*dict.fromkeys([*notes, *said])])


def _elsewhere(source: str, ours: str, raws: Sequence[Raw], about: pd.DataFrame | None) -> bool:
    """Whether a column that one table lacks stands in another."""
    in_about = about is not None and ours in about
    return in_about or any(has(raw.frame, source) for raw in raws)


def _about(runs: pd.DataFrame | Raw, given: Mapping[str, str | float]) -> pd.DataFrame:
    raw = runs if isinstance(runs, Raw) else Raw(runs, "runs", first=0)
    own = {k: v for k, v in given.items() if isinstance(v, str) and has(raw.frame, v)}
    table = take(raw, own).drop(columns="_row")
    if "run" not in table:
        raise ValueError(f"{raw.name}: no column names the runs; say columns.run=NAME")
    twice = table["run"].duplicated()
    if twice.any():
        raise ValueError(f"{raw.name} has run {table['run'][twice].iloc[0]!r} more than once")
    return table.drop(columns=[c for c in losses(table) if c in table])


def _of_runs(
    parts: list[tuple[Raw, pd.DataFrame]], about: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a run as it is."""
    table = pd.concat([part for _, part in parts], ignore_index=True)
    if "run" in table:
        twice = table[table["run"].duplicated(keep=False)]
        if len(twice):
            a, b = twice[twice["run"] == twice["run"].iloc[0]]["_row"].iloc[:2]
            raise ValueError(f"{parts[0][0].name}, rows {a} and {b}: run {twice['run'].iloc[0]!r}"
                             " stands there twice; curves need a column of steps (columns.step)")
    else:
        table["run"] = [f"row {row}" for row in table["_row"]]
    if about is not None:
        table = _joined(table, about)
    if "D" not in table:
        if "tokens" in table:
            table["D"] = table["tokens"]
        elif {"steps", "batch", "context"} <= set(table):
            table["D"] = table["steps"] * table["batch"] * table["context"]
    loss = table["loss"] if "loss" in table else pd.Series(1.0, index=table.index)
    table["status"] = _status(table, np.isinf(loss.to_numpy(float)))
    if "loss" in table:
        table["loss"] = table["loss"].where(table["status"] != "diverged")
    return table.drop(columns=["_row", "tokens"], errors="ignore"), pd.DataFrame()


def _of_curves(
    parts: list[tuple[Raw, pd.DataFrame]], about: pd.DataFrame | None, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Curves, and of each run its end."""
    tables = []
    for raw, part in parts:
        if "step" not in part:
            raise ValueError(f"{raw.name}: no column is the step; say columns.step=NAME")
        part = part if "run" in part else part.assign(run=raw.name)
        if part["run"].isna().any():
            row = part["_row"][part["run"].isna()].iloc[0]
            raise ValueError(f"{raw.name}, row {row}: the run has no name")
        part, said = one_row_a_step(part, raw.name)
        notes += said
        tables.append(part)
    curves = pd.concat(tables, ignore_index=True)
    if len(tables) > 1:
        curves, _ = one_row_a_step(curves.sort_values(["run", "step"], kind="stable"), "the files")
    if about is not None:
        curves = _joined(curves, about)
    curves, said = with_tokens(curves)
    notes += said
    runs = pd.DataFrame([_end(str(run), rows) for run, rows in curves.groupby("run", sort=False)])
    curves, said = with_history(curves)
    notes += said
    curves = curves.assign(thinned=True)
    losing = losses(curves)
    curves[losing] = curves[losing].where(np.isfinite(curves[losing]))
    constant = [c for c in curves if c not in _CURVE and c not in losing]
    return runs, curves.drop(columns=[c for c in constant if c not in ("thinned", "parent")])


def _joined(table: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    known = [c for c in about if c == "run" or c not in table]
    missing = sorted(set(table["run"]) - set(about["run"]))
    if missing:
        raise ValueError(f"runs: nothing is said of run {missing[0]!r} ({len(missing)} such)")
    return table.merge(about[known], on="run", how="left")


def _end(run: str, rows: pd.DataFrame) -> dict[str, object]:
    """A run's row: its final loss, the tokens it had seen, and what is constant in it."""
    losing = losses(rows)
    bad = np.isinf(rows[losing].to_numpy(float)).any() if losing else False
    last = rows["step"].max()
    row: dict[str, object] = {"run": run}
    for name in rows:
        values = rows[name].dropna().unique() if name not in losing else []
        if len(values) == 1 and name not in ("_row", "step", "tokens", "run"):
            row[name] = values[0]
    if "lr" in rows:
        row["lr"] = rows["lr"].max()
    steps = row.get("steps")
    row |= {"steps": int(last)}
    if "tokens" in rows:
        row["D"] = rows["tokens"].iloc[-1]
    for name in losing:
        known = rows[np.isfinite(rows[name])]
        whole = len(known) and not bad and last - known["step"].iloc[-1] <= _LATE * last
        row[name] = known[name].iloc[-1] if whole else np.nan
    if bad:
        row["status"] = "diverged"
    elif steps is not None and last < (1 - _LATE) * float(steps):
        row["status"] = "unfinished"
    else:
        row["status"] = _status(pd.DataFrame([row]), np.zeros(1, bool))[0]
    return row


def _status(table: pd.DataFrame, diverged: np.ndarray) -> list[str]:
    said = table["status"] if "status" in table else pd.Series(None, index=table.index)
    words = ["done" if s is None or pd.isna(s) or s.lower() in _DONE else s.lower() for s in said]
    return ["diverged" if bad else word for bad, word in zip(diverged, words, strict=True)]


def _rounded(runs: pd.DataFrame, curves: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
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
    known = runs.reindex(columns=["N", "D"]).dropna(axis=1, how="all").notna().all(axis=1)
    return runs["loss"].notna() & known


def _unmeasured(done: pd.DataFrame) -> list[str]:
    """A sentence for each column whose cells some runs lack, though others have it."""
    lacks = {"loss at their end" if c == "loss" else c: int(done[c].isna().sum())
             for c in ("loss", "N", "D") if c in done}
    return [f"{count} run{'s have' if count > 1 else ' has'} no {what} and cannot be fitted"
            for what, count in lacks.items() if count and (count < len(done) or "loss" in what)]


def _odd_compute(runs: pd.DataFrame) -> list[str]:
    """A sentence if C is far from 6 N D: one of them counts in thousands, millions, billions."""
    if not {"N", "D", "C"} <= set(runs):
        return []
    ratio = float((runs["C"] / (6 * runs["N"] * runs["D"])).median())
    if not abs(np.log(ratio)) > np.log(_ODD_COMPUTE):
        return []
    return [f"C is {ratio:.2g} times 6 N D: if one of them counts thousands, millions or billions,"
            " say columns.N='NAME * 1e6'"]


def _finished(
    runs: pd.DataFrame, curves: pd.DataFrame, n_count: str | None, notes: list[str]
) -> Imported:
    parents = {}
    if "parent" in runs:
        known = runs[runs["parent"].notna()]
        parents = dict(zip(known["run"], known["parent"].astype(str), strict=True))
    if "cluster" not in runs:
        runs = runs.assign(cluster=[root_of(r, parents) for r in runs["run"]])
    if {"N", "D"} <= set(runs) and "C" not in runs:
        runs = runs.assign(C=6 * runs["N"] * runs["D"], flops_convention="6 N D")
    if "N" in runs:
        runs = runs.assign(n_count=n_count or next(
            (c for c in ("n_matmul", "n_total", "n_block") if c in runs), "as given"))
    notes += _odd_compute(runs)
    notes += _unmeasured(runs[runs["status"] == "done"])
    runs = runs.rename(columns={"run": "run_id"}).drop(columns="_row", errors="ignore")
    if len(curves):
        of_run = [c for c in ("N", "seed", "schedule", "status", "resolution") if c in runs]
        curves = curves.merge(
            runs[["run_id", *of_run]].rename(columns={"run_id": "run"}), on="run", how="left",
        )
    return Imported(runs, curves, tuple(notes))
