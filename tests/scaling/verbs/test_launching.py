"""What ``scaling launch`` says at its end."""

from __future__ import annotations

from types import SimpleNamespace

from scaling.verbs.launching import _end_of_launch
from scaling.verbs.verb import open_console
from sweeps.launches import LaunchConfig
from sweeps.plan import make_plan, save_plan


def test_a_full_disk_is_named_where_no_worker_could_say_so(study, monkeypatch, capsys) -> None:
    plan = make_plan(study())
    save_plan(plan)
    told = []
    for free in (1e12, 0):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert _end_of_launch(open_console(), plan.outputs, "tiny", LaunchConfig("inline")) == 1
        told.append(capsys.readouterr().out.replace("\n", " "))
    assert "is full" not in told[0] and "is full: 0 MB are free" in told[1]
    assert ": scaling" not in told[0] and "planned:" not in told[0]  # no reason, no colon
