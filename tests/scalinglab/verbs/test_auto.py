"""``law=auto`` as the law of a study: every verb answers with it, or says that it needs one law."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import Study


@pytest.fixture
def mixed(run, tmp_path: Path) -> str:
    """An imported study whose law is the mixture."""
    C, ratio = np.meshgrid(np.geomspace(1e17, 1e20, 6), np.geomspace(3, 100, 5))
    N = np.sqrt(C / 6 / ratio).ravel()
    table = pd.DataFrame({"N": N, "D": C.ravel() / 6 / N})
    noise = 0.002 * np.random.default_rng(0).standard_normal(len(table))
    table["loss"] = (1.7 + 400 / N**0.34 + 1800 / table.D**0.37) * np.exp(noise)
    table.to_csv(tmp_path / "points.csv", index=False)
    outputs = f"outputs={tmp_path}/outputs"
    asked = ("to=mixed", "law=auto", "budgets=[3e19,3e21]", "held_out=N * D > 1e19", outputs)
    code, _, error = run("import", f"{tmp_path}/points.csv", *asked)
    assert code == 0, error
    return outputs


@pytest.mark.usefixtures("blank_figures")
def test_the_answers_of_a_study_whose_law_is_the_mixture(run, mixed) -> None:
    code, out, error = run(
        "report", "study=mixed", mixed, "resamples=20", "multiverse=false", "--json"
    )
    assert code == 0, error
    told = json.loads(out)
    assert told["fit"]["law"] == "auto" and set(told["laws"]["laws"]) == set(told["fit"]["laws"])
    assert any("Laws compared" in sentence for sentence in told["sentences"])
    assert len(told["held_out"]) and told["held_out"][0]["lower"] is not None
    page = Path(told["report"]).read_text()
    assert "Laws compared: what each predicts of budgets that it has not seen" in page

    study = Study.open("mixed", outputs=mixed.removeprefix("outputs="))
    far, near = (study.allocate(budgets=[b], resamples=0).fit for b in (3e21, 3e19))
    assert not far.overview["score"].equals(near.overview["score"])  # by how far a budget lies
    code, out, _ = run("forecast", "study=mixed", mixed, "law=auto")
    assert code == 0 and "every run has ended" in out


def test_how_far_the_question_lies_is_an_option_of_fit(run, mixed) -> None:
    scores = []
    for beyond in ("beyond=1.5", "beyond=50"):
        code, out, error = run("fit", "study=mixed", mixed, "resamples=0", beyond, "--json")
        assert code == 0, error
        scores.append(json.loads(out)["laws"]["chinchilla"]["score"])
    assert scores[0] != scores[1]
    code, _, error = run("fit", "study=mixed", mixed, "beyond=0.5")
    assert code == 2 and "beyond = 0.5" in error
    code, _, error = run("schedule", "study=mixed", mixed, "law=auto", "steps=40")
    assert code == 2 and "here one law is needed" in error
