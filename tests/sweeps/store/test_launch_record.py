"""Stored launches, read back."""

import os

import pytest

from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.submissions import read_submissions
from scalinglab.sweeps.store.launch_record import (
    launched_by,
    launcher_of,
    new_launch,
    read_launch,
    store_launch,
)


@pytest.mark.parametrize("change", [{"launcher": {}}, {"config": {"no_such_key": 1}}])
def test_what_is_no_launch_is_named(tmp_path, change):
    launch = new_launch(tmp_path, "ours", LaunchConfig(), [], tmp_path)
    store_launch(launch)
    assert read_launch(launch.folder) == launch
    path = launch.folder / "launch.json"
    write_json(path, read_json(path) | change)
    with pytest.raises(DamagedFile, match=r"launch.json is damaged: .*remove its folder"):
        read_launch(launch.folder), launcher_of(launch.folder)


def test_a_damaged_launch_is_passed_over_in_search_of_a_launcher(tmp_path):
    launches = [new_launch(tmp_path, "ours", LaunchConfig(), [], tmp_path) for _ in range(2)]
    for launch in launches:
        store_launch(launch)
    (launches[0].folder / "launch.json").write_text("{")
    assert launched_by(tmp_path, "ours", os.getpid())
    (launches[1].folder / "launch.json").write_text("{")
    assert not launched_by(tmp_path, "ours", os.getpid())


def test_a_submission_of_a_later_version_is_counted(tmp_path):
    launch = new_launch(tmp_path, "ours", LaunchConfig(), [], tmp_path)
    submission = {"name": "n", "kind": "k", "tasks": 1, "submitted": 1.0, "job": None, "later": 1}
    write_json(launch.folder / "submit-1.json", submission)
    assert [one.tasks for one in read_submissions(launch)] == [1]
