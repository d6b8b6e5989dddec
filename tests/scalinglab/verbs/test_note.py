"""``scaling note``: kept with the run, dated, shown wherever the run is."""

from __future__ import annotations

import json

import pytest

from scalinglab import analysis
from scalinglab.analysis.reporting.logbook import logbook
from scalinglab.scaling.records.notes import notes_of
from scalinglab.scaling.records.run_folder import RunFolder


def test_a_note_is_kept_and_shown_where_its_run_is(run, own) -> None:
    outputs = own / "outputs"
    before = analysis.load(outputs, study="tiny")
    assert "notes" not in before
    chosen = before["run_id"][0]
    assert run("note", f"run={chosen[:8]}", "a node fell out")[0] == 0
    code, out, error = run("note", "study=tiny", f"runs={chosen}", "text=LR=0.1, [too] high")
    assert code == 0 and f"noted, {chosen} " in out, error
    shown = json.loads(run("note", "study=tiny", "--json")[1])
    assert [n["text"] for n in shown["notes"][chosen]] == ["a node fell out", "LR=0.1, [too] high"]
    after = analysis.load(outputs, study="tiny")
    assert after["run_id"].tolist() == before["run_id"].tolist()
    (text,) = after["notes"].dropna()
    assert text.count("\n") == 1 and text.endswith(": LR=0.1, [too] high")
    for verb in ("status", "logs"):
        code, out, _ = run(verb, "study=tiny", f"runs={chosen}")
        assert code == 0 and "a node fell out" in out and "LR=0.1, [too] high" in out
    (section,) = logbook(outputs, "tiny")
    assert section.tables[0]["note"].tolist() == ["a node fell out", "LR=0.1, [too] high"]


def test_a_damaged_note_is_left_out_and_told(run, own, caplog) -> None:
    path = next((own / "outputs" / "runs").iterdir())
    run("note", f"run={path.name}", "one")
    (file,) = (path / "notes").iterdir()
    file.write_text("{")
    assert notes_of(RunFolder(path)) == [] and "this note is left out" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x"], "name the run: run=ID, or study=NAME with runs=SELECTION"),
        (["run=zz", "x"], "run = 'zz' is the id of no run"),
        (["run=", "x"], "is the beginning of"),
        (["run=a", "runs=done", "x"], "runs = 'done' is for study=NAME"),
        (["study=tiny", ""], "text is empty"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, message) -> None:
    code, _, error = run("note", *arguments)
    assert code == 2 and message in error and error.count("\n") == 1
