"""A study that asks for no law gets its verdict: in words, as a page, from its records alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from scalinglab.analysis.reporting.facts import facts_of_verdict
from scalinglab.analysis.reporting.verdict import (
    VERDICTS,
    Finding,
    Verdict,
    check_kind,
    give_verdict,
)
from scalinglab.analysis.reporting.write_verdict import write_verdict
from scalinglab.analysis.tables.judged_runs import study_runs
from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.sweeps.plan.make import make_plan


@pytest.fixture
def judged(finished):
    """The finished study as another kind; its plan is put back."""
    path = finished / "studies" / "tiny" / "plan.json"
    plan = read_json(path)

    def kind(name: str, **options) -> None:
        asked = plan["study"]["answer"] | {"kind": name, "options": options}
        write_json(path, plan | {"study": plan["study"] | {"answer": asked}})

    yield kind
    write_json(path, plan)


def test_runs_have_what_makes_them_differ(finished) -> None:
    runs = study_runs(finished, "tiny")
    assert {
        "optimizer.name",
        "optimizer.weight_decay",
        "block",
        "final_ratio",
        "flops_causal",
        "flops_kaplan",
        "n_block",
    } <= set(runs)
    assert set(runs.loc[runs["schedule"] == "wsd", "final_ratio"]) == {0.0}
    assert np.isinf(runs.loc[runs["status"] == "diverged", "loss"]).all()
    assert runs.columns.is_unique


def test_a_verdict_is_given_from_records(finished, judged, tmp_path) -> None:
    judged("conventions", resamples=10)
    verdict = give_verdict(finished, "tiny")
    assert "N* ~ C^a" in verdict.text() and "Exponents" in verdict.text()
    page = write_verdict(verdict, tmp_path / "report.html").read_text()
    assert "Does it &lt;run&gt;?" in page and "<svg" in page and ">Exponents</h2>" in page
    # As pages of laws have them: runs with their curves, machines, what a paper cites.
    assert ">The runs</h2>" in page and ">Machines and versions</h2>" in page
    run = verdict.runs.loc[verdict.runs["status"] == "done", "run_id"].iloc[0]
    (kept,) = re.findall(r'id="runs">(.*?)</script>', page, re.DOTALL)
    assert run in json.loads(kept)["ids"] and run in json.loads(kept)["curves"]
    assert "@software" in page and r"\toprule" in page and "caption{Exponents, tiny}" in page
    assert facts_of_verdict(verdict)["tables"]["Exponents"][0]["N"] == "n_block"


def test_texts_of_a_verdict_are_no_markup(finished, judged, tmp_path) -> None:
    script = "<script>1</script>"
    effects = pd.DataFrame({"effect": [-0.0123], "effect_lower": [-0.02], "effect_upper": [-0.01]})
    tables = {script: pd.DataFrame({script: [script]}), "Effects": effects}
    finding = Finding([script], tables, warnings=[script])
    judged("conventions", resamples=0)
    verdict = replace(give_verdict(finished, "tiny"), question=script, finding=finding)
    page = write_verdict(verdict, tmp_path / "v.html").read_text()
    assert script not in page and page.count("&lt;script&gt;") >= 8
    assert re.search(r"−1.23% .*\(−2.00% to −1.00%\)", page)  # a number and its interval in a cell


def test_the_report_of_a_study_dispatches_by_its_kind(finished, judged, capsys) -> None:
    judged("schedules", fitted=["curvs"])
    with pytest.raises(SystemExit) as stopped:
        main(["report", "study=tiny", f"outputs={finished}"])
    assert stopped.value.code == 2
    assert "no finished curve of curvs" in capsys.readouterr().err


def test_an_unknown_kind_is_named(finished, judged) -> None:
    judged("magic")
    with pytest.raises(ValueError, match="kind = 'magic' is not one of: law, .*batch_lr, "):
        give_verdict(finished, "tiny")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("law", {"x": 1}, "study.answer.kind = 'law' is not one with options"),
        (
            "tune",
            {"y": "lr"},
            "unknown key 'study.answer.options.y'. Allowed here: x",
        ),
        ("schedules", {"curves": 1}, "Allowed here: fitted, law"),
        ("schedules", {}, "missing key 'study.answer.options.fitted'"),
        ("schedules", {"fitted": 3}, "study.answer.options.fitted = 3: expected a list"),
    ],
)
def test_options_that_a_judge_does_not_take_or_lacks_are_named(kind, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        check_kind(kind, options)


def test_unfinished_runs_and_mixed_code_are_told(finished, judged) -> None:
    judged("conventions", resamples=0)
    path = finished / "studies" / "tiny" / "plan.json"
    plan = read_json(path)
    write_json(path, plan | {"runs": [*plan["runs"], plan["runs"][0] | {"run_id": "unfinished"}]})
    warnings = give_verdict(finished, "tiny").finding.warnings
    assert any(f"1 of {len(plan['runs']) + 1} runs are not finished" in w for w in warnings)


def told(table: pd.DataFrame) -> Verdict:
    """A verdict of one table."""
    return Verdict(
        study="s",
        question="q?",
        outputs=Path(),
        runs=pd.DataFrame(),
        unfinished={},
        machines=pd.DataFrame(),
        finding=Finding(["s"], {"t": table}),
    )


SHIPPED = {
    path.stem: kind
    for path in sorted((Path(__file__).parents[3] / "conf" / "study").glob("*.yaml"))
    if (kind := yaml.safe_load(path.read_text())["study"].get("answer", {}).get("kind"))
}


# They train tokenizers or score much text: up to half a minute each. Their runs are among the golden ids.
_LONG = {"quality", "sources", "vocabulary"}


_LESS = ("data.options.tokens=131072", "data.max_epochs=1000")  # of a text that is made here
_MADE = {"tasks", "emergence"}


@pytest.mark.parametrize(
    "study",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in _LONG)) for name in SHIPPED],
)
def test_a_shipped_study_with_a_verdict_can_be_planned(study, finished) -> None:
    less = _LESS if study in _MADE else ()
    plan = make_plan(compose([f"study={study}", f"outputs={finished}", *less]))
    assert plan.study.answer.kind == SHIPPED[study] and len(plan.runs) > 5


def test_every_kind_has_a_shipped_study() -> None:
    of_probes = {"proxies"}  # asks the probes of any study
    assert set(SHIPPED.values()) == set(VERDICTS) - of_probes


def test_counts_of_a_table_are_written_in_full() -> None:
    best = 22_531.7  # between counts
    table = pd.DataFrame(
        {"D": [16_384.0], "loss": [6.80381], "C": [1e13], "least": [0.5], "best N": [best]}
    )
    text = told(table).text()
    assert (
        "ahead" in told(table.assign(lead="ahead", loss="low")).text()
    )  # a person's own column of a name that we write as a percentage
    assert "16,384" in text and "6.804" in text and "1e+13" in text and "22,530" in text
