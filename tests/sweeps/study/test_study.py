"""Expanding a study, and every mistake it can hold."""

from __future__ import annotations

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.config import ConfigError
from scalinglab.sweeps.study.study import merged, read_study


def test_blocks_expand_to_the_product_of_their_axes(study) -> None:
    found, wanted = read_study(study())
    assert found.name == "tiny"
    assert [w.block for w in wanted] == ["ladder"] * 4 + ["curves"] * 2
    assert {(w.config.model.width, w.config.tokens) for w in wanted[:4]} == {
        (8, 2560),
        (8, 5120),
        (16, 2560),
        (16, 5120),
    }
    assert [w.config.schedule.kind for w in wanted[4:]] == ["constant", "wsd"]


def test_an_axis_can_be_overridden_on_the_command_line(study) -> None:
    _, wanted = read_study(study("study.blocks.ladder.grid.tokens=[2560]"))
    assert len([w for w in wanted if w.block == "ladder"]) == 2


def test_an_axis_over_a_group_keeps_the_study_s_own_settings_of_it(study) -> None:
    _, wanted = read_study(
        study(
            "schedule.warmup_tokens=512",
            "schedule.final_ratio=0.25",
            "~study.blocks.ladder",
            "~study.blocks.curves.grid.schedule",
            "+study.blocks.curves.grid.schedule=[{kind:cosine},{kind:linear,final_ratio:0}]",
        )
    )
    assert [
        (w.config.schedule.kind, w.config.schedule.warmup_tokens, w.config.schedule.final_ratio)
        for w in wanted
    ] == [("cosine", 512, 0.25), ("linear", 512, 0.0)]


def test_options_are_of_the_source_that_is_named() -> None:
    markov = {"source": "markov", "options": {"vocab": 8, "tokens": 100}, "validation_tokens": 64}
    assert merged(markov, {"options": {"vocab": 16}})["options"] == {"vocab": 16, "tokens": 100}
    assert merged(markov, {"source": "stdlib"}) == {
        "source": "stdlib",
        "options": {},
        "validation_tokens": 64,
    }


def test_no_study_is_named() -> None:
    with pytest.raises(ConfigError, match="no study is named, or its file defines none"):
        read_study(compose([]))


def test_a_study_without_blocks_has_no_runs(study) -> None:
    with pytest.raises(ConfigError, match="study 'tiny' has no runs"):
        read_study(study("~study.blocks.ladder", "~study.blocks.curves"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("study.blocks.ladder.grid.tokens=[]", "study.blocks.ladder.grid.tokens has no values"),
        ("study.blocks.ladder.role=fitt", "study.blocks.ladder.role = 'fitt' is not one of: fit"),
        (
            "+study.blocks.ladder.grid.model.widht=[1]",
            "unknown key 'study.blocks.ladder.grid.model.widht'; did you mean",
        ),
        (
            "+study.blocks.ladder.grid.modle.width=[1]",
            "unknown key 'study.blocks.ladder.grid.modle'",
        ),
        ("+study.qestion=x", "unknown key 'study.qestion'; did you mean 'study.question'"),
        ("+study.answer.budgets=[1e9,-5]", "study.answer.budgets has -5: allowed is above 0"),
        (
            "+study.answer.curve_held_out=kosine",
            "study.answer.curve_held_out = 'kosine' is not the schedule of a run",
        ),
        ("study.blocks.ladder=3", "study.blocks.ladder = 3: expected a group of keys"),
        ("study.blocks.ladder.grid.tokens=[lots]", "tokens = 'lots': expected a whole number"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(study, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_study(study(override))
    assert message in str(caught.value)
