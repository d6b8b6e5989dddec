"""Curves as a table."""

from __future__ import annotations

import pytest

from scalinglab import analysis


def test_curves_have_every_step_once_and_the_bits_of_the_record(finished) -> None:
    runs = analysis.load(finished, role="curve").set_index("run_id")
    curves = analysis.load_curves(finished, run_ids=runs.index)
    for run, curve in curves.groupby("run"):
        assert curve["step"].tolist() == list(range(1, runs.loc[run, "steps"] + 1))
        assert curve["loss"].iloc[-1] == runs.loc[run, "loss"]
        assert curve["lr"].max() == pytest.approx(runs.loc[run, "lr"], rel=0.2)
        assert curve["tokens"].iloc[-1] == runs.loc[run, "D"]
