"""Which column is what: as the user says, else by the names that trackers and papers use."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.importers.raw import Raw
from analysis.tables.factors import has, split_factor

# Ours -> names in use, the surest first.
KNOWN: dict[str, tuple[str, ...]] = {
    "run": ("run", "run_id", "run_name", "Name", "name"),
    "step": ("step", "trainer/global_step", "global_step", "iteration", "iter", "_step", "Step"),
    "tokens": ("tokens", "tokens_seen", "seen_tokens", "consumed_tokens", "throughput/tokens"),
    "lr": ("lr", "learning_rate", "train/lr", "train/learning_rate", "optim/lr", "lr-AdamW"),
    "loss": ("validation_loss", "val_loss", "val/loss", "valid_loss", "valid/loss", "eval_loss",
             "eval/loss", "validation/loss", "loss"),
    "train_loss": ("train_loss", "train/loss", "training_loss"),
    "grad_norm": ("grad_norm", "train/grad_norm", "gradient_norm"),
    "N": ("N", "params", "n_params", "parameters", "num_params", "model_size"),
    "n_block": ("n_block", "non_embedding_params"),
    "n_matmul": ("n_matmul",),
    "n_total": ("n_total", "total_params"),
    "D": ("D", "total_tokens", "train_tokens"),
    "C": ("C", "flops", "total_flops"),
    "batch": ("batch", "batch_size", "batch_seqs", "global_batch_size"),
    "context": ("context", "seq_len", "sequence_length", "context_length", "block_size"),
    "vocab": ("vocab", "vocab_size"),
    "width": ("width", "n_embd", "d_model", "hidden_size"),
    "steps": ("steps", "max_steps", "total_steps", "iterations"),
    "seed": ("seed",),
    "status": ("status", "state", "State"),
    "schedule": ("schedule", "scheduler", "lr_schedule"),
    "parent": ("parent",),
    "branch_step": ("branch_step",),
    "attempt": ("attempt",),
    "time": ("time", "_timestamp", "wall_time", "timestamp"),
    "bytes_per_token": ("bytes_per_token",),
}
TEXT = ("run", "parent", "status", "schedule")
_SEVERAL = ("loss",)  # of which a second candidate is another measurement, not another spelling
_STRANGE = {"N": 1.0, "D": 1.0, "C": 1.0, "n_block": 1.0, "n_matmul": 1.0, "n_total": 1.0}


def choose(frame: pd.DataFrame, given: Mapping[str, str | float], where: str) -> dict[str, str]:
    """Our name -> column of the frame, for all that it has.

    Numbers in `given` are values that hold for every row; they are no columns.

    Raises
    ------
    ValueError
        If a name is not ours, a column does not exist, or the loss could be one of several.
    """
    have = list(frame.columns)
    chosen: dict[str, str] = {}
    for name, source in given.items():
        if name not in KNOWN and not name.startswith("loss_"):
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(KNOWN)}"
            raise ValueError(f"columns.{name}: nothing is called so here{hint}")
        if isinstance(source, str):
            if not has(frame, source):
                raise ValueError(_missing(name, source, have, where))
            chosen[name], _ = split_factor(source, have)
    for name, spellings in KNOWN.items():
        found = [s for s in spellings if s in have and s not in chosen.values()]
        if name in given or not found:
            continue
        if name in _SEVERAL:
            found = _losses(found, where)
        chosen[name] = found[0]
    if "loss" in have and "loss" not in chosen.values() and "train_loss" not in given:
        chosen.setdefault("train_loss", "loss")  # beside a validation loss it is that of training
    return chosen


def _losses(found: list[str], where: str) -> list[str]:
    validated = [name for name in found if name != "loss"]
    if len(validated) > 1:
        raise ValueError(
            f"{where}: {' and '.join(validated)} could each be the loss; say columns.loss="
            f"{validated[0]} (and columns.loss_other={validated[1]} to keep the other)"
        )
    return validated or found


def _missing(name: str, source: str, have: list[str], where: str) -> str:
    near = difflib.get_close_matches(source, have, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(have)}"
    return f"columns.{name} = {source!r}: {where} has no such column{hint}"


def take(raw: Raw, given: Mapping[str, str | float]) -> pd.DataFrame:
    """The rows under our names, numbers as numbers, with the number of each row in ``_row``.

    Columns that are nobody's keep their names. Losses that are not finite stay so (a missing one is
    NaN, one that diverged is infinite).

    Raises
    ------
    ValueError
        As `choose`; or if a cell is no number: names the row.
    """
    frame = raw.frame.assign(**{k: v for k, v in raw.facts.items() if k not in raw.frame})
    chosen = choose(frame, given, raw.name)
    taken = pd.DataFrame({"_row": np.arange(len(frame)) + raw.first}, index=frame.index)
    for name, source in chosen.items():
        cells = frame[source]
        taken[name] = _text(cells) if name in TEXT else (
            _numbers(cells, raw, source, name) * _factor(given.get(name), frame))
    for name, value in given.items():
        if not isinstance(value, str):
            taken[name] = float(value)
    for name in frame:
        if name not in taken and name not in chosen.values():
            taken[name] = _plain(frame[name])
    _check_sizes(taken, raw)
    return taken.reset_index(drop=True)


def _factor(source: str | float | None, frame: pd.DataFrame) -> float:
    return split_factor(source, frame.columns)[1] if isinstance(source, str) else 1.0


def _text(cells: pd.Series) -> pd.Series:
    text = cells.astype(str).str.strip()
    return text.where(cells.notna() & (text != ""), None)


def _plain(cells: pd.Series) -> pd.Series:
    """A column that is nobody's: as numbers if it holds nothing else."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    text = _text(cells)
    values = pd.to_numeric(text, errors="coerce")
    return values if values.notna().sum() == text.notna().sum() else text


def _numbers(cells: pd.Series, raw: Raw, source: str, name: str) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(float, na_value=np.nan)
    text = cells.where(cells.notna(), "").astype(str).str.strip()
    values = pd.to_numeric(text, errors="coerce").to_numpy(float)
    said_nan = text.str.lower().isin(["nan", "inf", "-inf", "infinity"]).to_numpy()
    bad = np.flatnonzero(np.isnan(values) & (text != "").to_numpy() & ~said_nan)
    if len(bad):
        raise ValueError(
            f"{raw.name}, row {bad[0] + raw.first}: {source} = {text.iloc[bad[0]]!r} is no number"
            f" ({len(bad)} such of {len(text)} cells)"
        )
    # A tracker writes "nan" for a loss that was one, and nothing where none was measured.
    return np.where(said_nan & ("loss" in name), np.inf, values)


def _check_sizes(taken: pd.DataFrame, raw: Raw) -> None:
    for name in _STRANGE:
        if name not in taken:
            continue
        bad = np.flatnonzero(~(taken[name] >= _STRANGE[name]) & taken[name].notna())
        if len(bad):
            raise ValueError(
                f"{raw.name}, row {taken['_row'].iloc[bad[0]]}: {name} ="
                f" {taken[name].iloc[bad[0]]:g} is no count; expected is 1 or more (if it counts"
                f" millions or billions: columns.{name}='NAME * 1e9')"
            )
