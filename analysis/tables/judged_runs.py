"""The runs that a judge of a study sees, and those that are still to come."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from scalinglab.analysis.tables.runs import load
from scalinglab.analysis.tables.study_runs import study_plan, unfinished_runs
from scalinglab.scaling.model.flops import CONVENTIONS, flops_per_token
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.identity import without
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.flatten import flatten


def study_runs(outputs: str | Path, study: str, loss: str | None = None) -> pd.DataFrame:
    """The finished runs of a study with all settings in which they may differ.

    Returns
    -------
    DataFrame
        The columns of `analysis.load`, the science as dotted columns (``optimizer.name``,
        ``model.width``), ``block`` (of the study, joined by commas), ``final_ratio`` (the last LR
        over the peak) and ``flops_<convention>`` of a token. Diverged runs have an infinite loss.
    """
    blocks = {r.run_id: ",".join(r.blocks) for r in study_plan(outputs, study).runs}
    runs = load(outputs, study=study, loss=loss)
    runs = runs[runs["status"] != State.STOPPED].reset_index(drop=True)
    more = []
    for run_id in runs["run_id"]:
        spec = RunFolder(Path(outputs) / "runs" / run_id).record().spec
        more.append(
            {
                "block": blocks[run_id],
                "final_ratio": spec.pieces[-1].end / spec.lr_peak,
                **{f"flops_{c}": flops_per_token(spec.flops, c) for c in CONVENTIONS},
                **flatten(without(spec.science, ["schedule"])),
            }
        )
    table = pd.concat([runs, pd.DataFrame(more, index=runs.index)], axis=1)
    table = table.loc[:, ~table.columns.duplicated()]
    return table.assign(loss=table["loss"].where(table["status"] == State.DONE, float("inf")))


def planned_runs(outputs: str | Path, study: str) -> pd.DataFrame:
    """The runs of a study that are not finished: ``run_id, role, N, D, C, steps``."""
    rows = []
    for entry, spec in unfinished_runs(outputs, study):
        tokens = spec.steps * spec.tokens_per_step
        rows.append(
            {
                "run_id": entry.run_id,
                "role": ",".join(entry.roles),
                "N": float(size(spec.counts)),
                "D": float(tokens),
                "C": flops_per_token(spec.flops) * tokens,
                "steps": spec.steps,
            }
        )
    return pd.DataFrame(rows, columns=["run_id", "role", "N", "D", "C", "steps"])
