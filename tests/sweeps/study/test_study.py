"""Expanding a study, and every mistake it can hold."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.study.study import (
    RUN_KEYS,
    check_overrides,
    check_study,
    is_search,
    read_study,
)
from scalinglab.sweeps.study.values import merged, with_values


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


def requested(composed: dict, grid: dict) -> list[RunConfig]:
    """The runs of a study whose one block has these axes."""
    blocks = {"only": {"role": "fit", "grid": grid}}
    return [
        w.config
        for w in read_study(composed | {"study": composed["study"] | {"blocks": blocks}})[1]
    ]


def test_an_axis_of_kinds_keeps_what_each_uses_of_the_study_s_own(study) -> None:
    """Also where another axis stands before it, and where kinds have keys that the study lacks."""
    axes = {"schedule": {"final_ratio": [0.1], "kind": ["wsd", "cyclic"]}}
    wsd, cyclic = requested(study("schedule.cooldown_fraction=0.5"), axes)
    assert wsd.schedule.cooldown_fraction == 0.5
    assert asdict(cyclic.schedule) == {
        "kind": "cyclic",
        "warmup_tokens": 256,
        "final_ratio": 0.1,
        "cycles": 4,
        "rewarm_tokens": 0,
        "cooldown_shape": "linear",
    }


def test_an_axis_that_a_kind_does_not_use_is_refused(study) -> None:
    composed = study()
    for schedule in (
        {"kind": ["wsd", "cosine"], "cooldown_fraction": [0.1, 0.2]},
        {"cooldown_fraction": [0.1], "kind": ["cosine"]},
        [{"kind": "cosine", "cooldown_fraction": 0.1}],
    ):
        with pytest.raises(ConfigError, match="fraction = 0.1: .*kind = 'cosine' does not use it"):
            requested(composed, {"schedule": schedule})


def test_an_axis_of_parametrizations_keeps_the_base_where_it_is_used(study) -> None:
    composed = study("model.parametrization=mup", "model.base_width=8", "optimizer.lr=0.1")
    runs = requested(composed, {"model": {"parametrization": ["sp", "mup"]}})
    assert [r.model.base_width for r in runs] == [None, 8]
    with pytest.raises(ConfigError, match="base_width = 8: .* = 'sp' does not use it"):
        requested(composed, {"model": {"parametrization": ["sp"], "base_width": [8]}})


def test_the_optimizers_of_a_program_may_have_any_name(study) -> None:
    composed = study("trainer=command", "trainer.program=x")
    runs = requested(composed, {"optimizer": {"name": ["adam_mini", "muon"]}})
    assert [r.optimizer.name for r in runs] == ["adam_mini", "muon"]


def test_options_are_of_the_source_that_is_named() -> None:
    markov = {"source": "markov", "options": {"vocab": 8, "tokens": 100}, "validation_tokens": 64}
    assert merged(markov, {"options": {"vocab": 16}})["options"] == {"vocab": 16, "tokens": 100}
    assert merged(markov, {"source": "stdlib"}) == {
        "source": "stdlib",
        "options": {},
        "validation_tokens": 64,
    }


def test_a_study_with_a_search_asks_for_more(study) -> None:
    assert not is_search(read_study(study())[0])
    assert is_search(check_study(compose(["study=tune"])))


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
        ("+study.answer.budgets=[1e9,-5]", "study.answer.budgets[1] = -5.0: allowed is above 0"),
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


@pytest.mark.parametrize("key", ["optimizer.name", "optimizer.momentum"])
@pytest.mark.parametrize("first", [True, False])
def test_an_axis_may_say_who_trains_and_what_only_that_uses(study, key, first) -> None:
    """In any order: a program's optimizer may have a name and keys that no engine knows."""
    pairs = [("trainer.kind", "command"), (key, 0.5 if key.endswith("momentum") else "mine")]
    point = dict(pairs if first else pairs[::-1])
    composed = study()
    base = {name: composed[name] for name in RUN_KEYS if name in composed}
    optimizer = with_values(base, point, "grid")["optimizer"]
    assert optimizer[key.partition(".")[2]] == point[key]


def test_a_block_that_names_no_optimizer_has_the_usual_one(study) -> None:
    composed = study("+study.blocks.ladder.base.optimizer={lr: 0.01}")
    check_overrides(composed, ["model.depth=1"])


def of_base(composed: dict, base: dict) -> RunConfig:
    """The run of a study whose one block sets groups for itself."""
    block = {"role": "fit", "grid": {"tokens": [2560]}, "base": base}
    (wanted,) = read_study(composed | {"study": composed["study"] | {"blocks": {"own": block}}})[1]
    return wanted.config


def test_a_block_keeps_of_a_group_what_its_base_does_not_name(study) -> None:
    program = {"kind": "command", "program": "mine", "options": {"gears": 3, "oil": True}}
    config = of_base(study() | {"trainer": program}, {"trainer": {"options": {"gears": 5}}})
    assert (config.trainer.kind, config.trainer.program) == ("command", "mine")
    assert config.trainer.options == {"gears": 5, "oil": True}

    own = study("optimizer.lr=0.25", "optimizer.beta1=0.7")
    adamw = of_base(own, {"optimizer": {"beta2": 0.5}}).optimizer
    assert (adamw.name, adamw.lr, adamw.beta1, adamw.beta2) == ("adamw", 0.25, 0.7, 0.5)
    lion = of_base(own, {"optimizer": {"name": "lion"}}).optimizer
    # A group that names its choice stands by itself, as it always did: ids of runs hang on it.
    assert (lion.name, lion.lr) == ("lion", None)

    text = of_base(own, {"data": {"source": "stdlib", "options": {}}}).data
    assert text.source == "stdlib"
    with pytest.raises(ConfigError, match="did you mean 'optimizer'"):
        of_base(own, {"optimzer": {"lr": 1}})
