"""What is asked of checkpoints: each that several runs share once."""

from __future__ import annotations

from collections import defaultdict

from scalinglab.scaling.probes.folder import ProbeFolder
from scalinglab.scaling.records.prefixes import checkpoint_name
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.launch.ask_probe import ask_probe
from scalinglab.sweeps.store.probe_questions import read_question, store_question


def test_a_checkpoint_that_runs_share_is_read_beside_one_of_them(finished, tmp_path) -> None:
    question = ask_probe(finished, "tiny", "validation", {}, "all").question
    sharing = defaultdict(list)
    for run_id, questions in question.runs.items():
        science = RunFolder(finished / "runs" / run_id).spec().science
        for wanted in questions:
            sharing[checkpoint_name(science, wanted.step)].append((run_id, wanted))
    shared = [places for places in sharing.values() if len(places) > 1]
    assert shared
    for places in shared:
        (owner,) = [run_id for run_id, wanted in places if not wanted.twins]
        assert all(w.twins == (owner,) for run_id, w in places if run_id != owner)
    store_question(tmp_path, "tiny", question)
    (file,) = tmp_path.glob("studies/tiny/probes/*.json")
    stored = read_question(file)
    assert stored == question
    assert [w.twins for w in stored.runs[run_id]] == [w.twins for w in question.runs[run_id]]


def test_a_twin_takes_the_numbers_of_the_first(finished, tmp_path) -> None:
    question = ask_probe(finished, "tiny", "validation", {}, "all").question
    run_id, wanted = next((i, w) for i, ws in question.runs.items() for w in ws if w.twins)
    (owner,) = wanted.twins
    here, there = (
        ProbeFolder(tmp_path / "runs" / i / "probes" / question.folder_name, "x", {}, [wanted])
        for i in (run_id, owner)
    )
    assert here.shared(wanted) is None
    first = next(w for w in question.runs[owner] if w.step == wanted.step)
    result = {"probe": "x", "step": wanted.step, "columns": {"probe.x.a": 2.0}}
    there.store(first, result | {"reads": [list(place) for place in first.reads]})
    found = here.shared(wanted)
    assert found is not None and found["columns"] == {"probe.x.a": 2.0}
    assert found["same_as"] == owner and found["reads"] == [[run_id, wanted.step]]
    assert here.store(wanted, found) and not here.missing()
