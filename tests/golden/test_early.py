"""Folders of the first versions are read as they were, and their runs have the ids they had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import early, lab, product
from tests.golden.holds import assert_holds
from tests.golden.write import read

EARLY = read("early")


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return early.readings(tmp_path_factory.mktemp("early"))


@pytest.mark.parametrize("study", early.STUDIES)
def test_an_early_study_is_read_as_it_was(now: dict, study: str) -> None:
    assert_holds(EARLY[study], now[study])


def test_every_state_of_an_end_is_there() -> None:
    states = {row["state"] for row in EARLY["first"]["status"]}
    assert states == {"done", "diverged", "interrupted", "failed"}


def test_a_run_has_one_id_through_all_versions(now: dict) -> None:
    said = [now[study]["runs described"][early.FIRST_RUN] for study in early.STUDIES]
    assert said[0] == said[1] == said[2]


def test_a_run_that_the_first_version_left_is_trained_to_its_end(tmp_path: Path) -> None:
    outputs = early.open_early(tmp_path)["first"]
    left = lab.run_of(outputs, "first", "curves")
    product.go_on(outputs, left)
    losses = lab.final_losses(outputs, "first")
    assert losses[left] == pytest.approx(losses[early.FIRST_RUN], rel=0.1)
