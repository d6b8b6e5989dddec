"""How runs came about, as a page tells it of each of them."""

from __future__ import annotations

import json
from pathlib import Path

from scalinglab.analysis.reporting import run_origins
from scalinglab.analysis.reporting.run_origins import attempts_of


def attempt(outputs: Path, run: str, number: int, **end: object) -> None:
    """The files of one attempt."""
    folder = outputs / "runs" / run / "attempts"
    folder.mkdir(parents=True, exist_ok=True)
    owner = {"host": "elsewhere", "boot": "", "pid": 1, "started": 60.0 * number}
    (folder / f"{number:04d}.json").write_text(json.dumps(owner | {"lease_seconds": 1.0}))
    if end:
        (folder / f"{number:04d}.end").write_text(json.dumps(end))


def test_each_attempt_is_told_with_its_end_and_its_error(tmp_path) -> None:
    failed = {"reason": "failed", "ended": 90.0, "error": "out of memory\nat line 3"}
    attempt(tmp_path, "a", 1, **failed)
    attempt(tmp_path, "a", 2)
    attempt(tmp_path, "a", 3, reason="done", ended=300.0)
    first, lost, last = attempts_of(tmp_path, ["a", "imported"])["a"]
    assert first == ["1970-01-01 00:01", "1970-01-01 00:01", "failed", "out of memory"]
    assert lost[2].startswith("interrupted") and last[1:3] == ["1970-01-01 00:05", "done"]


def test_of_very_many_runs_only_those_that_needed_more_than_one_are_told(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(run_origins, "_MOST_TOLD", 1)
    attempt(tmp_path, "smooth", 1, reason="done", ended=90.0)
    attempt(tmp_path, "taken up", 1)
    attempt(tmp_path, "taken up", 2, reason="done", ended=90.0)
    assert list(attempts_of(tmp_path, ["smooth", "taken up"])) == ["taken up"]
