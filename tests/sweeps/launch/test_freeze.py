"""Workers run the code that was there when they were launched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.records import machine
from scalinglab.sweeps.launch.freeze import freeze
from scalinglab.sweeps.plan.cost import used_bytes


def test_equal_code_is_one_copy_that_knows_its_commit(tmp_path) -> None:
    folder = freeze(tmp_path)
    assert freeze(tmp_path) == folder and len(list((tmp_path / "code").iterdir())) == 1
    program = "import scalinglab.scaling.records.machine as m; print(m.__file__, m.code_commit())"
    out = subprocess.run(
        [sys.executable, "-c", program],
        cwd="/",
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert Path(out[0]).is_relative_to(folder) and out[1] == str(machine.code_commit())


def test_an_edit_does_not_reach_a_copy(tmp_path, monkeypatch) -> None:
    root = tmp_path / "code_of_today"
    root.mkdir()
    (root / "one.py").write_text("x = 1\n")
    monkeypatch.setattr("scalinglab.sweeps.launch.freeze.PACKAGES", ("scalinglab.scaling",))
    monkeypatch.setattr("scalinglab.sweeps.launch.freeze._folder_of", lambda package: root)
    before = freeze(tmp_path)
    (root / "one.py").write_text("x = 2\n")
    after = freeze(tmp_path)
    assert before != after
    assert (before / "scalinglab" / "scaling" / "one.py").read_text() == "x = 1\n"
    assert (after / "scalinglab" / "scaling" / "one.py").read_text() == "x = 2\n"


@pytest.mark.parametrize(
    "damage",
    ["scalinglab/scaling/records", "scalinglab/scaling/records/atomic.py", "COMMIT", "*"],
)
def test_a_copy_is_not_trusted_by_its_name(tmp_path, damage) -> None:
    whole = contents(freeze(tmp_path))
    for path in freeze(tmp_path).glob(damage):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert contents(freeze(tmp_path)) == whole


def test_a_changed_file_of_a_copy_is_put_back(tmp_path) -> None:
    whole = contents(freeze(tmp_path))
    (freeze(tmp_path) / "scalinglab/sweeps/launch/worker.py").write_text("raise SystemExit")
    assert contents(freeze(tmp_path)) == whole


def test_many_launchers_freeze_at_once_while_others_look_through_the_folder(
    tmp_path, processes
) -> None:
    """What a launch's budget counts may be moved into place while it counts."""
    with processes.Pool(4) as pool:
        frozen = pool.map_async(freeze, [tmp_path] * 8, chunksize=1)
        while not frozen.ready():
            used_bytes(tmp_path)
        folders = frozen.get()
    assert [p.name for p in (tmp_path / "code").iterdir()] == [folders[0].name]
    assert len(set(folders)) == 1 and used_bytes(tmp_path) > 0


def contents(folder: Path) -> dict[Path, bytes]:
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
