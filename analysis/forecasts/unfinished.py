"""Unfinished runs of a study: their whole schedule, and their curve so far.

The losses of a run come from the report of its latest attempt, and from other runs that share its
prefix, which are the same training up to there (docs/design.md, Prefixes). Another program writes
them to its curve.csv, which grows while it runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.curves import load_curves, read_curve
from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.damage import tell
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import lr_array, shared_by_all
from scalinglab.scaling.training.program_record import read_measured


def unfinished_runs(outputs: str | Path, study: str, column: str | None = None) -> pd.DataFrame:
    """One row for every step of every run of a plan that has not ended.

    Parameters
    ----------
    outputs, study
        Where the study lies.
    column : str, optional
        A measured column that is taken as the loss. What an unfinished run says of itself is its
        own loss alone: of another column that is known which finished runs have at shared steps.

    Returns
    -------
    DataFrame
        ``run, step, tokens, lr`` at every step, ``loss`` (validation, nats per token) where it is
        known already, and ``N, D, schedule, seed, state, role`` of the run. Empty where all ended.

    Raises
    ------
    UserError
        If there is no such study.
    """
    outputs = Path(outputs)
    plan = study_plan(outputs, study)
    folders = {run.run_id: RunFolder(outputs / "runs" / run.run_id) for run in plan.runs}
    folders = {i: f for i, f in folders.items() if f.exists() and _is_readable(f)}
    roles = {run.run_id: ",".join(run.roles) for run in plan.runs}
    described = {i: f.spec() for i, f in folders.items()}
    losses = (
        {i: _losses(f) for i, f in folders.items()}
        if column is None
        else _measured(outputs, study, column)
    )
    tables = []
    for run_id, folder in folders.items():
        if folder.done() is None:
            loss_by_step = _with_shared(run_id, described, losses)
            table = _schedule(described[run_id], loss_by_step)
            tables.append(table.assign(state=folder.state(), role=roles[run_id]))
    if not tables:
        return pd.DataFrame(columns=["run", "step", "tokens", "lr", "loss", "N", "D", "state"])
    return pd.concat(tables, ignore_index=True)


def _is_readable(folder: RunFolder) -> bool:
    """Whether a run's files say what it is and what it measured; else it is told of."""
    error = folder.state_damage() or folder.result_damage()
    if error is not None:
        tell(error, "its run is left out")
    return error is None


def _losses(folder: RunFolder) -> dict[int, float]:
    """Step -> validation loss, up to the last step that a run has reported."""
    if folder.done() is not None:
        curve = read_curve(folder).dropna(subset=["loss"])
        return dict(zip(curve["step"], curve["loss"], strict=True))
    loss_by_step: dict[int, float] = {}
    for number in folder.attempt_numbers():  # a later attempt may have begun where an earlier ended
        loss_by_step |= folder.progress(number).validation
        loss_by_step |= read_measured(folder.path / "program" / f"{number:04d}")
    return loss_by_step


def _measured(outputs: Path, study: str, column: str) -> dict[str, dict[int, float]]:
    """Run -> step -> the value of a column, of finished runs."""
    curves = load_curves(outputs, study=study)
    if column not in curves:
        return {}
    curves = curves.dropna(subset=[column])
    return {
        str(run): dict(zip(rows["step"], rows[column], strict=True))
        for run, rows in curves.groupby("run")
    }


def _with_shared(
    run_id: str, described: dict[str, RunSpec], losses: dict[str, dict[int, float]]
) -> dict[int, float]:
    """A run's losses, with those of other runs at shared steps."""
    run = described[run_id]
    loss_by_step: dict[int, float] = {}
    for other_id, curve in losses.items():
        other_run = described.get(other_id)
        if other_run and other_id != run_id and curve and other_run.family_id == run.family_id:
            common = shared_by_all(run.all_pieces, other_run.all_pieces)
            loss_by_step |= {step: loss for step, loss in curve.items() if step <= common}
    return loss_by_step | losses.get(run_id, {})


def _schedule(run: RunSpec, loss_by_step: dict[int, float]) -> pd.DataFrame:
    lr = lr_array(run.pieces)[: run.steps]
    step = np.arange(1, len(lr) + 1)
    last = len(lr)
    loss = pd.Series(
        {s: v for s, v in loss_by_step.items() if s < last and np.isfinite(v)}, dtype=float
    )
    return pd.DataFrame(
        {
            "run": run.run_id,
            "step": step,
            "tokens": step * run.tokens_per_step,
            "lr": lr,
            "loss": loss.reindex(step).to_numpy(),
            "N": size(run.counts),
            "D": last * run.tokens_per_step,
            "schedule": run.schedule_kind,
            "seed": run.seed,
        }
    )
