"""The doctor names what is wrong before a study meets it."""

from __future__ import annotations

from scalinglab.sweeps.watch.doctor import examine


def test_a_healthy_machine(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = {f.what: f for f in examine(tmp_path / "outputs")}
    assert found["claims"].verdict == "ok" and found["torch"].verdict == "ok"
    assert "does not answer" in found["SLURM"].seen
    assert not list((tmp_path / "outputs").iterdir())  # it leaves nothing behind


def test_a_folder_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "outputs").write_text("a file")
    found = {f.what: f for f in examine(tmp_path / "outputs")}
    assert found["outputs"].verdict == "wrong"
