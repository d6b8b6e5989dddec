"""``scaling network`` of a study: each of its networks once, with the runs that have it."""

from __future__ import annotations

import json

from scalinglab import Study


def test_a_study_shows_each_of_its_networks(run, finished) -> None:
    code, out, error = run("network", "study=tiny", f"outputs={finished}", "--json")
    assert code == 0, error
    networks = json.loads(out)["networks"]
    plan = Study.open("tiny", outputs=finished).plan()
    ids = [run_id for network in networks for run_id in network["runs"]]
    assert sorted(ids) == sorted(plan.frame["run_id"])
    sizes = [n["counts"]["n_matmul"] for n in networks]
    assert sizes == sorted(set(plan.frame["N"])) and len(sizes) > 1


def test_it_is_shown_with_what_tells_it_apart(run, finished) -> None:
    code, out, _ = run("network", "study=tiny", f"outputs={finished}")
    headings = [line for line in out.splitlines() if line.startswith("width ")]
    assert code == 0 and len(headings) == out.count("FLOPs a trained token") > 1
    assert all(" run" in heading for heading in headings)
