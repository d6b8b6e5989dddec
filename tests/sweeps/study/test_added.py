"""Blocks that join a study later are part of every later plan."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.study.added import add_block, with_added
from scalinglab.sweeps.study.expand import BlockConfig


def test_an_added_block_stays(study) -> None:
    composed = study()
    before = make_plan(composed)
    block = BlockConfig("fit", {"model": {"width": [24]}, "tokens": [2560]})
    add_block(before.outputs, "tiny", "wider", block)
    after = make_plan(study())
    new = {p.run.run_id for p in after.runs} - {p.run.run_id for p in before.runs}
    assert len(after.runs) == len(before.runs) + 1 == len(before.runs) + len(new)
    assert composed["study"]["blocks"].keys() == {"ladder", "curves"}  # the file's are untouched


def test_a_name_that_the_file_has_as_well_is_refused(study) -> None:
    composed = study()
    add_block(make_plan(composed).outputs, "tiny", "ladder", BlockConfig("fit", {"tokens": [64]}))
    with pytest.raises(ConfigError, match="study.blocks.ladder is in the study's file and was"):
        with_added(composed)
