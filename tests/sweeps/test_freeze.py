"""Workers run the code that was there when they were launched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scaling.records import machine
from sweeps.freeze import freeze


def test_equal_code_is_one_copy_that_knows_its_commit(tmp_path) -> None:
    folder = freeze(tmp_path)
    assert freeze(tmp_path) == folder and len(list((tmp_path / "code").iterdir())) == 1
    program = "import scaling.records.machine as m; print(m.__file__, m.code_commit())"
    out = subprocess.run([sys.executable, "-c", program], cwd="/", env={"PYTHONPATH": str(folder)},
                         capture_output=True, text=True, check=True).stdout.split()
    assert Path(out[0]).is_relative_to(folder) and out[1] == str(machine.code_commit())


def test_an_edit_does_not_reach_a_copy(tmp_path, monkeypatch) -> None:
    root = tmp_path / "code_of_today"
    for package in ("scaling", "sweeps"):
        (root / package).mkdir(parents=True)
        (root / package / "one.py").write_text("x = 1\n")
    monkeypatch.setattr("sweeps.freeze.__file__", str(root / "sweeps" / "freeze.py"))
    before = freeze(tmp_path)
    (root / "scaling" / "one.py").write_text("x = 2\n")
    after = freeze(tmp_path)
    assert before != after
    assert (before / "scaling" / "one.py").read_text() == "x = 1\n"
    assert (after / "scaling" / "one.py").read_text() == "x = 2\n"
