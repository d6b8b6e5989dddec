"""A question sealed before its runs are made: what was asked, when, and which runs were known.

The seal is a JSON file with the SHA-256 of its content. A hash that was published before the runs
(in a message, a commit, a time stamp) proves that the question was not fitted to the answer; the
file alone proves only that the question is the same.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.tables.typed import records_of
from scalinglab.analysis.transfer.question import TransferQuestion
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import create_exclusive, read_json
from scalinglab.scaling.records.identity import canonical_json

_SHAPE = {"question": dict, "runs": list, "date": str, "hash": str}


@dataclass(frozen=True)
class SealCheck:
    """A judgement compared with the question that was sealed before.

    Attributes
    ----------
    path, date, hash : str
    differences : tuple of str
        Where the question differs, in words; empty if it is the one that was sealed.
    known : int
        Runs of the verdict that had ended before the seal.
    """

    path: str
    date: str
    hash: str
    differences: tuple[str, ...]
    known: int

    @property
    def matched(self) -> bool:
        """Whether the question is the sealed one and none of the verdict's runs was known then."""
        return not self.differences and not self.known

    def in_words(self) -> str:
        """The comparison in a sentence."""
        head = f"sealed {self.date} (SHA-256 {self.hash[:16]}...): "
        if self.matched:
            return head + "the question is the sealed one, and all runs of the verdict ended later"
        reasons = list(self.differences)
        if self.known:
            reasons.append(f"{self.known} runs of the verdict had ended before the seal")
        return head + "does not match: " + "; ".join(reasons)


def write_seal(
    path: str | Path, question: TransferQuestion, runs: pd.DataFrame | None
) -> dict[str, Any]:
    """Seal a question with the runs that are known now.

    Parameters
    ----------
    path : path
    question : TransferQuestion
    runs : DataFrame or None
        Runs that have ended; None: there are none yet.

    Returns
    -------
    dict
        ``question, runs, date, hash``, as written.

    Raises
    ------
    UserError
        If the file exists: a seal is never written anew.
    """
    sealed: dict[str, Any] = {
        "question": question.as_plain(),
        "runs": [] if runs is None else run_marks(runs),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    sealed["hash"] = _hash(sealed)
    target = Path(path).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    if not create_exclusive(target, canonical_json(sealed) + "\n"):
        raise UserError(
            f"seal = {str(path)!r} exists; a seal is never overwritten: name another file"
        )
    return sealed


def check_seal(path: str | Path, question: TransferQuestion, used: pd.DataFrame) -> SealCheck:
    """Compare a question and the runs of its verdict with a seal.

    Raises
    ------
    UserError
        If there is no such file, or its content is not the one that was sealed.
    """
    if not Path(path).is_file():
        raise UserError(f"seal = {str(path)!r} is no file")
    sealed = read_json(Path(path), _SHAPE)
    if _hash({k: v for k, v in sealed.items() if k != "hash"}) != sealed["hash"]:
        raise UserError(f"seal = {str(path)!r} was changed after it was written: its hash differs")
    before, now = sealed["question"], question.as_plain()
    differences = tuple(
        f"{key} was {before.get(key)!r} and is {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    )
    ended_before = len(set(sealed["runs"]) & set(run_marks(used)))
    return SealCheck(str(path), sealed["date"], sealed["hash"], differences, ended_before)


def run_marks(runs: pd.DataFrame) -> list[str]:
    """Sorted marks of runs: the id, or a hash of the row."""
    names = [n for n in ("run_id", "run") if n in runs and runs[n].notna().all()]
    if names:
        return sorted(runs[names[0]].astype(str))
    columns = runs[[c for c in ("N", "D", "seed", "lr", "loss") if c in runs]].astype(float)
    return sorted(
        hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:16]
        for row in records_of(columns)
    )


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(dict(content)).encode()).hexdigest()
