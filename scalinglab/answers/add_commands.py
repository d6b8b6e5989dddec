"""Commands that add the next runs of a judgement to their studies and train them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scalinglab import analysis
from scalinglab.analysis.tables.typed import records_of
from scalinglab.analysis.transfer.trials import KNOBS
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.text.shell import override
from scalinglab.sweeps.study.added import read_added

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.transfer.judgement import Judgement

_HOW = ("execution.", "rule.")  # not what a run is
_SIZE = ("model.width", "tokens")
_BLOCK = "judge"


def add_commands(
    outputs: Path, studies: Sequence[str], runs: pd.DataFrame, judgement: Judgement
) -> tuple[str, ...]:
    """The commands for the first proposal whose runs copy others of the studies with new seeds.

    Parameters
    ----------
    outputs : Path
    studies : list of str
        One study with both arms, or the baseline's and the candidate's.
    runs : DataFrame
        From `analysis.runs_by_arm`.
    judgement : Judgement

    Returns
    -------
    tuple of str
        Empty if the runs were made elsewhere.
    """
    proposals = [row for row in records_of(judgement.next_runs) if not row["new_size"]]
    if not proposals:
        return ()
    proposal, question = proposals[0], judgement.question
    of_arm = dict(zip(question.arms, [studies[0], studies[-1]], strict=True))
    lines, taken_names = [], {study: _blocks(outputs, study) for study in studies}
    for arm in proposal["arms"]:
        study = of_arm[arm]
        arm_runs = runs[runs[question.arm].astype(str) == arm]
        model = _model(arm_runs, judgement.trials, arm, proposal)
        grid = None if model is None else _grid(outputs, study, str(model["run_id"]))
        if grid is None:
            return ()
        name = next(n for k in range(1, 10_000) if (n := f"{_BLOCK}_{k}") not in taken_names[study])
        taken_names[study].add(name)
        words = [_axis(key, [value]) for key, value in grid.items() if key != "seed"]
        words += [_axis("seed", proposal["seed"])]
        target = f"{override('study', study)} {override('outputs', outputs)}"
        lines.append(" ".join(["scaling add", target, f"block={name}", *words]))
    for study in dict.fromkeys(of_arm[arm] for arm in proposal["arms"]):
        lines.append(f"scaling launch {override('study', study)} {override('outputs', outputs)}")
    return tuple(lines)


def _model(
    arm_runs: pd.DataFrame, trials: pd.DataFrame, arm: str, proposal: Mapping[str, Any]
) -> dict[str, Any] | None:
    """A run of the arm's chosen trial at the proposed size; None if there is none."""
    runs = arm_runs[np.isclose(arm_runs["D"], proposal["D"], rtol=1e-9)]
    sizes = trials[(trials["arm"] == arm) & np.isclose(trials["D"], proposal["D"], rtol=1e-9)]
    # The arms may differ in N at equal width, so the nearest size is taken.
    trial = sizes.iloc[(sizes["N"] - proposal["N"]).abs().to_numpy().argmin()]
    runs = runs[np.isclose(runs["N"], trial["N"], rtol=1e-9)]
    for knob in KNOBS:
        if knob in trial and knob in runs:
            runs = runs[np.isclose(runs[knob].fillna(0.0).astype(float), trial[knob], rtol=1e-9)]
    return records_of(runs)[0] if len(runs) else None


def _grid(outputs: Path, study: str, model: str) -> dict[str, Any] | None:
    """The settings of a run that its block sets, not the study; None if it was made elsewhere."""
    plan = analysis.study_plan(outputs, study)
    axes = {key for block in plan.study.blocks.values() for key in flatten(block.get("grid", {}))}
    settings = {}
    for entry in plan.runs:
        folder = RunFolder(outputs / "runs" / entry.run_id)
        if folder.exists():
            settings[entry.run_id] = flatten(folder.settings().config)
    if model not in settings:
        return None

    def varies(key: str, value: Any) -> bool:
        return any(run_settings.get(key) != value for run_settings in settings.values())

    grid = {
        key: value
        for key, value in settings[model].items()
        # A generator sets the size, and may set other keys, without an axis of that name.
        if key in axes or key in _SIZE or (not key.startswith(_HOW) and varies(key, value))
    }
    return None if any(isinstance(value, list) for value in grid.values()) else grid


def _blocks(outputs: Path, study: str) -> set[str]:
    """Names that a new block cannot have."""
    planned = analysis.study_plan(outputs, study).study.blocks
    return {*planned, *read_added(outputs, study)}


def _axis(key: str, values: Sequence[Any]) -> str:
    text = ",".join("null" if value is None else _plain(value) for value in values)
    return f"'grid.{key}=[{text}]'"


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
