"""Which processes plan a study."""

from __future__ import annotations

import pytest

from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.planning import mark_planning
from scalinglab.sweeps.store.stored_plan import read_plan


@pytest.mark.parametrize("read", [read_plan, study_plan])
def test_a_study_that_is_planned_for_the_first_time_is_among_those_that_there_are(
    tmp_path, read
) -> None:
    for name in ("mine", "new"):
        (tmp_path / "studies" / name).mkdir(parents=True)
    (tmp_path / "studies" / "mine" / "plan.json").write_text("{}")
    mark_planning(tmp_path / "studies" / "new")
    with pytest.raises(UserError, match=r"there are: mine, new \(being planned\); scaling launch"):
        read(tmp_path, "nwe")
