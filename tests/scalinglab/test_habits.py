"""Flags known from other programs do what is expected, or say what does it here."""

import json

import pytest
import yaml

from scalinglab.compose import compose
from scalinglab.scaling.errors import ConfigError


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("-m", "study.blocks.NAME.grid"),
        ("--multirun", "study.blocks.NAME.grid"),
        ("--config-name=mine", "scaling_conf/study/mine.yaml"),
        ("--config-dir", "config=DIR"),
        ("--cfg hydra", "allowed is --cfg job"),
    ],
)
def test_a_flag_without_a_meaning_names_what_has_it(run, flag, words):
    code, _, err = run("plan", "study=tiny", *flag.split())
    assert code == 2 and words in err


def test_the_composed_configuration_is_shown_and_nothing_else_happens(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("train", "model.width=32", "--cfg", "job")
    assert code == 0 and yaml.safe_load(out) == compose(["model.width=32"])
    code, out, _ = run("train", "model.width=32", "-c", "job", "--json")
    assert code == 0 and json.loads(out)["model"]["width"] == 32
    assert not list(tmp_path.iterdir())
    code, _, err = run("status", "study=tiny", "--cfg", "job")
    assert code == 2 and "plan, launch, train and data" in err


def test_quietly_the_answer_alone_is_shown(run):
    loud = run("fit", "study=tiny", "resamples=0")
    quiet = run("fit", "study=tiny", "resamples=0", "-q")
    assert quiet[0] == 0 and quiet[1] and quiet[1] in loud[1]
    assert run("-q", "fit", "study=tiny", "resamples=0") == quiet  # as others take it


def test_flags_without_a_verb_show_the_help(run):
    assert run("-v", "-q") == run("--help")


def test_in_detail_no_column_is_left_out_and_a_refusal_says_where_it_was_made(run):
    code, out, err = run("status", "study=tiny", "-v")
    assert code == 0 and "predicted" in out and "no room for columns" not in out, err
    code, _, err = run("fit", "study=tiny", "law=none", "--verbose")
    assert code == 2 and "Traceback" in err and err.splitlines()[-1].startswith("error: law")
    assert "Traceback" not in run("fit", "study=tiny", "law=none")[2]


@pytest.mark.parametrize("override", ["experiment=mine", "+experiment=mine"])
def test_an_experiment_is_a_study(override):
    with pytest.raises(ConfigError, match="study=NAME"):
        compose([override])
