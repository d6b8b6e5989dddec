"""The input of a program that trains a run: ``config.json`` and arrays.

docs/trainers.md has the contract; `scalinglab.scaling.training.program_record` reads what the
program leaves.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.mixed import open_planned
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.records.atomic import save_atomic, write_atomic
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import plain
from scalinglab.scaling.training.events import validation_steps
from scalinglab.scaling.training.micro_batch import micro_batch

CONTRACT = 1  # version of the contract with programs


def write_config(
    claim: Claim, run: RunSpec, execution: ExecutionConfig, folder: Path, lr: np.ndarray
) -> dict[str, Any]:
    """Write the input of the program.

    Parameters
    ----------
    claim : Claim
    run : RunSpec
    execution : ExecutionConfig
    folder : Path
        The folder of this attempt; it is created.
    lr : ndarray, shape (steps,)
        The learning rate of each step.

    Returns
    -------
    dict
        The content of config.json.
    """
    checkpoints = folder.parent / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    store = open_planned(run, claim.folder.outputs)
    assert isinstance(store, TokenStore)  # other values were refused in planning
    windows = store.validation_windows(run.data.validation_tokens, run.shape.context)
    lr_file = folder / "lr.npy"
    windows_file = folder / "validation_windows.npy"
    for path, array in ((lr_file, lr), (windows_file, windows)):
        save_atomic(path, partial(_save_array, array=array))
    share = -(-run.batch // execution.processes)  # sequences of a step in one process
    config = {
        "contract": CONTRACT,
        "run_id": run.run_id,
        "attempt": claim.number,
        "folder": str(folder),
        "checkpoints": str(checkpoints),
        "program": run.trainer.program,
        "options": run.trainer.options,
        "model": run.architecture.science(),
        "counts": run.counts,
        "data": {
            "train": str(store.folder / "train.bin"),
            "validation": str(store.folder / "validation.bin"),
            "dtype": store.manifest.dtype,
            "train_tokens": store.manifest.train_tokens,
            "validation_windows": str(windows_file),
            "bytes_per_token": run.bytes_per_token,
            **{
                key: getattr(run.data, key)
                for key in ("source", "content", "validation_tokens", "unique_tokens", "seed")
            },
        },
        "optimizer": {"name": run.optimizer.name, **run.optimizer.settings},
        "lr_peak": run.lr_peak,
        "lr_file": str(lr_file),
        "schedule": [plain(piece) for piece in run.pieces],
        "validation_steps": validation_steps(run.pieces),
        "batch": run.batch,
        "steps": run.steps,
        "tokens": run.tokens,
        "tokens_per_step": run.tokens_per_step,
        "seed": run.seed,
        "precision": run.precision,
        "z_loss": run.z_loss,
        "device": execution.device,
        "processes": execution.processes,
        "threads": execution.threads,
        "micro_batch": micro_batch(claim, execution.micro_batch, max(1, share)),
    }
    write_atomic(folder / "config.json", json.dumps(config, indent=1) + "\n")
    return config


def _save_array(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:  # with a name instead of a file, numpy would append a suffix
        np.save(file, array)
