"""Lines of progress."""

from __future__ import annotations

import io

import pandas as pd

from scalinglab.scaling.records.state import State
from scalinglab.show import Watch
from scalinglab.terminal import Screen


def test_lines_of_finished_runs_stand_below_each_other_within_100_columns(
    tmp_path, monkeypatch
) -> None:
    """A study of the quickstart's size, for as long as it takes."""
    found = pd.DataFrame(
        {
            "run_id": ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"],
            "varies": "",
            "N": [329_728, 10_240, 32_768, 82_944],
            "D": [2_097_152, 524_288, 2_097_152, 524_288],
            "schedule": ["wsd", "wsd", "constant", "cosine"],
            "seed": 0,
            "state": [State.DONE, State.DONE, State.BLOCKED, State.INTERRUPTED],
            "loss": [1.1938, 2.0, float("nan"), 2.5],
            "note": "",
        }
    )
    stream = io.StringIO()
    watch = Watch(Screen(stream), tmp_path, "mine")
    watch.began = -3599.0 * 24
    monkeypatch.setattr("scalinglab.show.time.monotonic", lambda: 0.0)
    for row in found.to_dict("records"):
        watch._say(row, found)
    lines = stream.getvalue().splitlines()  # the third has not ended
    assert len(lines) == 3 and len({(line.index(" D "), line.index("seed")) for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 100
