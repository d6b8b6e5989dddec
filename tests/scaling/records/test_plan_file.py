"""The plan of a study, read back."""

import pytest

from scalinglab.scaling.records.atomic import write_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.plan_file import read_plan_file

RUN = {"run_id": "r1", "roles": ["fit"], "pins": []}
PLAN = {"plan_version": 1, "study": {"name": "ours"}, "execution": {}, "runs": [RUN]}


def test_a_plan_of_the_first_version_is_read(tmp_path):
    path = tmp_path / "ours" / "plan.json"
    write_json(path, PLAN)
    plan = read_plan_file(path)
    assert plan.study.question == "" and plan.runs[0].blocks == () and plan.warnings == ()


@pytest.mark.parametrize(
    "change",
    [
        {"warnings": 3},
        {"study": {"name": "ours", "answer": 3}},
        {"runs": [RUN | {"needs": 3}]},
        {"runs": [3]},
    ],
)
def test_what_is_no_plan_is_named(tmp_path, change):
    path = tmp_path / "ours" / "plan.json"
    write_json(path, PLAN | change)
    with pytest.raises(DamagedFile, match=r"ours/plan.json is damaged: .*launch its study again"):
        read_plan_file(path)
