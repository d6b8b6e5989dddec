"""``scaling judge`` as a person uses it."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.analysis.transfer.ladders import ladder

ASKED = ("arm=arm", "baseline=old", "candidate=new", "at=1e21")
STUDY = """
# @package _global_
defaults:
  - override /data: markov
  - _self_
study:
  name: duel
  question: Is wsd better than cosine at scale?
  blocks:
    both:
      role: fit
      grid:
        model: {width: [8, 16, 24]}
        schedule: {kind: [cosine, wsd]}
        seed: [0, 1]
model: {depth: 1, head_dim: 8, context: 16}
tokens: 1280
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 256}
batch: 4
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["judge"], "at is not set; usage: scaling judge"),
        (["judge", "at=1e9"], "name what is judged: study=NAME arm=KEY, studies=[BASELINE"),
        (["judge", "study=tiny", "at=1e9"], "arm is not set"),
        (["judge", "study=tiny", "at=1e9", "arm=schedule.kind"], "baseline is not set"),
        (["judge", "study=tiny", *ASKED], "has such a setting"),
        (["judge", "studies=[tiny]", "at=1e9"], "studies = ['tiny']: two different ones"),
        (["judge", "data=nope.csv", *ASKED], "nope.csv: there is no such file"),
        (["judge", "data=nope.csv", *ASKED, "tuning=no"], "tuning = 'no' is not one of"),
        (["judge", "data=nope.csv", *ASKED, "margin=2"], "margin = 2"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_a_table_made_elsewhere_is_judged(run, tmp_path) -> None:
    ladder(fresh=range(2, 14)).to_csv(tmp_path / "runs.csv", index=False)
    code, out, _ = run("judge", f"data={tmp_path}/runs.csv", *ASKED)
    assert code == 0 and "Transfers: new saves more than 2% of compute" in out
    said = json.loads(run("judge", f"data={tmp_path}/runs.csv", *ASKED, "--json")[1])
    assert said["verdict"] == "transfers" and said["commands"] == []
    assert said["flops"]["multiplier"]["lower"] > 1.02
    assert said["next"] and said["device_time"] is None


def test_a_question_is_sealed_first_and_compared_later(run, tmp_path) -> None:
    asked = ("judge", f"data={tmp_path}/runs.csv", *ASKED, f"seal={tmp_path}/seal.json")
    code, out, _ = run(*asked)  # before there are runs
    assert code == 0 and "sealed in" in out and "no such file" in out
    ladder().to_csv(tmp_path / "runs.csv", index=False)
    assert json.loads(run(*asked, "--json")[1])["seal"]["matched"]
    said = json.loads(run(*asked, "margin=0.05", "--json")[1])
    assert said["seal"]["differences"] == ["margin was 0.02 and is 0.05"]


@pytest.mark.long
def test_the_next_runs_of_a_study_are_commands_that_make_them(run, tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "duel.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    assert run("launch", "study=duel", "launch=inline")[0] == 0
    asked = ("arm=schedule.kind", "baseline=cosine", "candidate=wsd", "at=1e9", "tuning=elsewhere")
    said = json.loads(run("judge", "study=duel", *asked, "--json")[1])
    assert [row["pairs"] for row in said["sizes"]] == [2, 2, 2]
    proposal = next(row for row in said["next"] if not row["new_size"])
    for line in said["commands"]:
        words = shlex.split(line)[1:]
        code, _, error = run(*words, *(["launch=inline"] if words[0] == "launch" else []))
        assert code == 0, (line, error)
    after = json.loads(run("judge", "study=duel", *asked, "--json")[1])
    grown = [row for row in after["sizes"] if row["pairs"] == 3]
    assert [row["N"] for row in grown] == [proposal["N"]]
    assert after["trials"][0]["fresh"] or after["trials"][1]["fresh"]


def test_two_studies_are_judged(run) -> None:
    code, _, error = run("judge", "studies=[tiny,tyni]", "at=1e9")
    assert code == 2 and "'tyni'" in error
