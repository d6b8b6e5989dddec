"""Results of probes beside their run: read by step, bounds apart, damaged ones left out."""

from __future__ import annotations

from scalinglab.scaling.probes.folder import (
    ProbeFolder,
    RequestedResult,
    columns_at,
    columns_by_step,
)

COLUMN = "probe.mine.number"


def asked(run, *steps: int, others: tuple[int, ...] = ()) -> ProbeFolder:
    wanted = [RequestedResult(s, tuple((run.run_id, at) for at in (*others, s))) for s in steps]
    return ProbeFolder(run.path / "probes" / "mine-abc", "mine", {}, wanted)


def store(folder: ProbeFolder, wanted: RequestedResult, value: float, **more) -> bool:
    result = {"probe": "mine", "step": wanted.step, "columns": {COLUMN: value}, "reads": []}
    return folder.store(wanted, result | more)


def test_each_number_is_stored_once_and_read_at_its_step(make_run) -> None:
    run = make_run()
    folder = asked(run, 8, 4)
    assert [w.step for w in folder.missing()] == [4, 8] and folder.done() is None
    assert all(store(folder, w, w.step) for w in folder.requested)
    assert not store(folder, folder.requested[0], 99)
    assert folder.missing() == [] and folder.done() is not None
    assert columns_by_step(run) == {4: {COLUMN: 4}, 8: {COLUMN: 8}}
    assert columns_at(run, 8) == {COLUMN: 8} and columns_at(run, 9) == {}


def test_what_is_of_the_start_is_a_column_whatever_the_step(make_run) -> None:
    run = make_run()
    folder = asked(run, 0)
    store(folder, folder.requested[0], 1, of_start=True)
    assert columns_at(run, 40) == {COLUMN: 1}


def test_a_bound_is_no_number(make_run) -> None:
    run = make_run()
    folder = asked(run, 8)
    store(folder, folder.requested[0], 0.01, censored={COLUMN: "at_most"})
    assert columns_at(run, 8) == {COLUMN: None, f"{COLUMN}_at_most": 0.01}


def test_the_later_of_two_results_of_a_step_counts_and_a_damaged_one_does_not(make_run) -> None:
    run = make_run()
    one, other = asked(run, 8, others=(2,)), asked(run, 8, others=(4,))
    for value, folder in enumerate((one, other)):
        store(folder, folder.requested[0], value)
    assert columns_at(run, 8) == {COLUMN: 1}
    other.file(other.requested[0]).write_text("{")
    assert columns_at(run, 8) == {COLUMN: 0}
