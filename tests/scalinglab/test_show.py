"""What is told of a study while it trains."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.cells import cell_len

from scalinglab.bar import bar_lines
from scalinglab.scaling.records.state import State
from scalinglab.show import show_runs, varying_columns, with_varying
from scalinglab.terminal import Screen
from scalinglab.watch import Watch

FOUND = pd.DataFrame(
    {
        "run_id": ["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd"],
        "role": "fit",
        "varies": "",
        "N": [329_728, 10_240, 32_768, 82_944],
        "D": [2_097_152, 524_288, 2_097_152, 524_288],
        "lr": 0.01,
        "schedule": ["wsd", "wsd", "constant", "cosine"],
        "seed": 0,
        "state": [State.DONE, State.DONE, State.WAITING, State.INTERRUPTED],
        "step": 8,
        "steps": 8,
        "loss": [1.1938, 2.0, float("nan"), 2.5],
        "tokens_per_second": 1e5,
        "attempt": 1,
        "predicted_seconds": 1.0,
        "seconds": 1.0,
        "note": "",
        "notes": "",
    }
)


def told(found: pd.DataFrame, tmp_path, monkeypatch) -> list[str]:
    stream = io.StringIO()
    watch = Watch(Screen(stream), tmp_path, "mine")
    watch.began = -3599.0 * 24
    monkeypatch.setattr("scalinglab.watch.time.monotonic", lambda: 0.0)
    for row in found.to_dict("records"):
        watch._say(row, found)
        watch._states[row["run_id"]] = row["state"]
    return stream.getvalue().splitlines()


def test_finished_runs_stand_below_one_heading_within_80_columns(tmp_path, monkeypatch) -> None:
    """A study of the quickstart's size, for as long as it takes."""
    assert told(FOUND, tmp_path, monkeypatch) == [
        "ended  run           loss        N          D  schedule  after        state",
        "1/4    aaaaaaaaaa  1.1938  329,728  2,097,152  wsd       24 h 00 min  done",
        "2/4    bbbbbbbbbb  2.0000   10,240    524,288  wsd       24 h 00 min  done",
        "2/4    dddddddddd           82,944    524,288  cosine    24 h 00 min  interrupted",
    ]  # the third has not ended; role and seed are the same in all


def test_an_interrupted_run_stands_in_one_line_of_a_narrow_terminal(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Screen, "width", 72)
    lines = told(FOUND, tmp_path, monkeypatch)
    assert len(lines) == 4 and lines[-1].endswith("interrupted")


def test_what_tells_the_runs_apart_has_columns(tmp_path, monkeypatch) -> None:
    varies = ["optimizer=muon loops=1", "optimizer=adamw loops=2", "optimizer=sgd", ""]
    heading, first, *_ = told(FOUND.assign(varies=varies), tmp_path, monkeypatch)
    assert heading.split() == "ended run loss optimizer loops N D schedule after state".split()
    assert first.split()[3:5] == ["muon", "1"]
    assert varying_columns(["N=3 path=a b c=d", "N=4"], pd.DataFrame({"N": ["5", "6"]})) == {
        "N (setting)": ["3", "4"],
        "path": ["a b", ""],
        "c": ["d", ""],
    }


def test_a_setting_that_a_table_shows_already_has_one_column() -> None:
    """The width of a network of one's own is an option named `width`; another arm has none."""
    fixed = pd.DataFrame({"width": [64, 1024, 32], "N": ["9", "8", "7"], "D": ["1", "1", "1"]})
    frame, names = with_varying(fixed, ["width=64 loops=1", "width=1024 loops=2", "loops=1"])
    assert list(frame) == ["width", "loops", "N", "D"] and names == ["width", "loops"]
    assert list(frame["width"]) == [64, 1024, 32]
    grouped = fixed.assign(width=["64", "1,024", "32"])
    assert list(with_varying(grouped, ["width=64", "width=1024", ""])[0]) == list(grouped)
    # Something else of the same name is told apart.
    other, _ = with_varying(fixed, ["width=64", "width=512", ""])
    assert list(other) == ["width", "width (setting)", "N", "D"]
    # On a narrow terminal what tells runs apart is left out last.
    stream = io.StringIO()
    wide = fixed.assign(**{"starts from": ["a long text of a checkpoint"] * 3})
    screen = Screen(stream)
    screen.console.width = 24
    show_runs(screen, wide, ["width=64", "width=1024", ""], optional=("width", "starts from"))
    assert stream.getvalue().split()[:3] == ["width", "N", "D"]


@pytest.mark.parametrize("width", [20, 50, 80, 140])
def test_a_bar_leaves_room_for_what_is_said(width: int) -> None:
    screen = Screen(io.StringIO())
    screen.console.width = width
    for line in bar_lines(0.614, "24,500 tok/s  3 min 20 s left", width):
        screen.console.print(line)
    lines = screen.console.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width and len(lines) == (3 if width == 20 else 1)
    assert " ".join(" ".join(lines).split()).endswith("61% 24,500 tok/s 3 min 20 s left")
