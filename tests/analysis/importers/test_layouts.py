"""Twenty and more real layouts, each with its traps: the right numbers in one attempt."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from scalinglab import analysis
from tests.analysis.importers.layouts import LAYOUTS


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_its_numbers_in_one_attempt(name: str, tmp_path, capfd) -> None:
    made = LAYOUTS[name](tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = analysis.read_runs(made.source, **made.options)
    runs = found.runs.set_index("run_id")
    if not set(made.loss) <= set(runs.index):  # rows without names: in the order of the file
        runs.index = [str(k) for k in range(len(runs))]
    done = runs[runs["status"] == "done"]
    assert done["loss"].to_dict() == pytest.approx(made.loss)
    for column in ("N", "D", "status"):
        if not (wanted := getattr(made, column)):
            continue
        assert runs.loc[list(wanted), column].to_dict() == (
            wanted if column == "status" else pytest.approx(wanted)
        )
    for run, last in made.lr.items():
        curve = found.curves[found.curves["run"] == run]
        assert curve["lr"].iloc[-1] == pytest.approx(last) and np.isfinite(curve["lr"]).all()
    notes = " ".join(found.notes)
    assert all(word in notes for word in made.noted), notes
    assert capfd.readouterr() == ("", "")


def test_there_are_twenty_layouts() -> None:
    assert len(LAYOUTS) >= 20
