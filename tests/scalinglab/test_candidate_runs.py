"""Runs that could be trained next."""

from __future__ import annotations

from scalinglab.candidate_runs import BLOCK, candidate_runs
from scalinglab.sweeps.study.added import add_block
from scalinglab.sweeps.study.expand import BlockConfig


def test_blocks_of_a_study_that_has_the_name_of_the_candidates_are_none(study, tmp_path) -> None:
    composed = study()
    add_block(tmp_path / "outputs", BLOCK, "other", BlockConfig("fit", {"model": {"width": [40]}}))
    grid = {"model": {"width": [24]}, "tokens": [2560]}
    assert set(candidate_runs(composed, grid).table["width"]) == {24}


def test_a_candidate_costs_what_it_takes_alone(study) -> None:
    """The longer run whose trunk it would share may not be chosen."""
    composed = study()
    grid = {"model": {"width": [24]}, "tokens": [2560]}
    alone = candidate_runs(composed, grid).table["cost"]
    both = candidate_runs(composed, grid | {"tokens": [2560, 5120]}).table["cost"]
    assert len(both) == 2 and both[alone.index[0]] == alone.iloc[0]
