"""``scaling gc`` as a person uses it."""

from __future__ import annotations


def test_what_goes_is_shown_before_it_goes(run, own, monkeypatch, capsys) -> None:
    def interrupted(found: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("scalinglab.verbs.gc.remove", interrupted)
    code, out, _ = run("gc", "dry_run=false", f"outputs={own}/outputs")
    assert code == 130 and "why it is there" in out and "removed" not in out
