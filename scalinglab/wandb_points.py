"""What a run is on wandb: its points, its summary, its name and what runs are grouped by."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalinglab.scaling.model.flops import DEFAULT_CONVENTION, flops_per_token
from scalinglab.scaling.model.stated import size, stated_convention
from scalinglab.scaling.records.attempt import Progress
from scalinglab.scaling.records.run_folder import Done, RunFolder
from scalinglab.scaling.records.spec import RunSpec

CURVE_POINTS = 400  # of a run, measured validation besides


def points_of(
    folder: RunFolder, last: int, done: Done | None
) -> tuple[Sequence[tuple[int, Mapping[str, float | None]]], dict[str, Any]]:
    """What is to be logged, (step, values), and the summary of a run that has ended.

    Parameters
    ----------
    folder : RunFolder
    last : int
        The last step that was logged before; 0 if none.
    done : Done or None
        How the run ended, if it has.
    """
    if done is None:
        return _progress(folder, last), {}
    record = folder.record()
    after = record.spec.steps
    final = {
        f"final/{key}": value for key, value in vars(record.final).items() if value is not None
    }
    if last > after:
        return [], final
    per_token = flops_per_token(record.spec.flops)
    rows = [(after + int(row["step"]), _row(row, per_token)) for row in _curve(folder)]
    return rows, final | {"steps": record.steps, "seconds": record.throughput.seconds}


def _progress(folder: RunFolder, last: int) -> list[tuple[int, dict[str, float | None]]]:
    """The latest heartbeat, if it is further than what was pushed."""
    attempt = folder.latest_attempt()
    progress = Progress() if attempt is None else folder.progress(attempt.number)
    if progress.reached <= last:
        return []
    run = folder.spec()
    tokens = progress.reached * run.tokens_per_step
    return [
        (
            progress.reached,
            {
                "tokens": tokens,
                "flops": tokens * flops_per_token(run.flops),
                "progress/loss": progress.loss,
                "progress/tokens_per_second": progress.tokens_per_second,
            },
        )
    ]


def _curve(folder: RunFolder) -> list[dict[str, float]]:
    """Rows of the recorded curve: evenly spaced ones, log-spaced ones, and all of validation."""
    header, *lines = gzip.decompress(folder.curve_file().read_bytes()).decode().splitlines()
    if not lines:
        return []
    half = CURVE_POINTS // 2
    chosen = {int(i) for i in np.linspace(0, len(lines) - 1, half)}
    chosen |= {int(i) - 1 for i in np.geomspace(1, len(lines), half)}
    names = header.split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    return [
        {name: float(text) for name, text in row.items() if text}
        for i, row in enumerate(rows)
        if i in chosen or row["validation_loss"]
    ]


def _row(row: dict[str, float], flops_a_token: float) -> dict[str, float]:
    named = {
        "loss": "train/loss",
        "grad_norm": "train/grad_norm",
        "lr": "train/lr",
        "validation_loss": "validation/loss",
        "validation_bpb": "validation/bpb",
    }
    axes = {"tokens": int(row["tokens"]), "flops": row["tokens"] * flops_a_token}
    return axes | {named[name]: value for name, value in row.items() if name in named}


def name_of(run: RunSpec) -> str:
    """ "N 1.2M  D 66M  wsd  lr 0.002  seed 0"."""
    parameters, tokens = (_short(n) for n in (size(run.counts), run.tokens))
    return f"N {parameters}  D {tokens}  {run.schedule_kind}  lr {run.lr_peak:.3g}  seed {run.seed}"


def _short(count: float) -> str:
    units = iter(["", "k", "M", "B", "T"])
    unit = next(units)
    while count >= 1000 and unit != "T":
        count, unit = count / 1000, next(units)
    return f"{count:.3g}{unit}"


def config_of(run: RunSpec) -> dict[str, Any]:
    """The science and the counts: what runs are filtered and grouped by."""
    return {
        "science": run.science,
        "shape": vars(run.shape),
        "counts": run.counts,
        "lr_peak": run.lr_peak,
        "schedule": run.schedule_kind,
        "N": size(run.counts),
        "D": run.tokens,
        "C": run.tokens * flops_per_token(run.flops),
        # Of C and of the axis "flops".
        "flops_convention": stated_convention(run.flops, DEFAULT_CONVENTION),
        "run_id": run.run_id,
        "family_id": run.family_id,
    }
