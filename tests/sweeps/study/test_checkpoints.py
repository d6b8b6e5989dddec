"""Which steps of a run a study keeps."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.study.checkpoints import check_checkpoints, kept_steps


def test_steps_are_kept_at_equal_ratios_or_distances_or_as_they_are_named() -> None:
    assert kept_steps({"log": 4}, 1000) == [1, 10, 100]
    assert kept_steps({"every": 400}, 1000) == [400, 800]
    assert kept_steps([5, 10, 2000], 1000) == [5, 10]
    assert kept_steps(None, 1000) == []
    assert kept_steps({"log": 20}, 8) == [1, 2, 3, 4, 5, 6, 7]  # no step twice


@pytest.mark.parametrize(
    "asked", [{"log": 1}, {"every": 0}, {"each": 3}, {"log": 2, "every": 1}, 5, [0]]
)
def test_what_is_no_choice_of_steps_is_refused(asked) -> None:
    with pytest.raises(ConfigError, match=r"study\.checkpoints"):
        check_checkpoints(asked)


def test_kept_steps_are_no_science_and_a_trunk_keeps_those_of_its_branches(study) -> None:
    plain = {p.run.run_id: p for p in make_plan(study()).runs}
    kept = {p.run.run_id: p for p in make_plan(study("+study.checkpoints={log: 4}")).runs}
    assert set(plain) == set(kept)
    for planned in kept.values():
        assert set(kept_steps({"log": 4}, planned.run.steps)) <= set(planned.kept)
        if planned.needs is not None:
            own = {s for s in planned.kept if s < planned.needs[1]}
            assert own <= set(kept[planned.needs[0]].kept)
    assert any(p.needs for p in kept.values())
    assert not any(p.kept for p in plain.values())
