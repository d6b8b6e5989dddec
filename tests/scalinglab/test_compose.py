"""Composing with Hydra: overrides, the user's own folder, and mistakes in one clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict


def test_the_shipped_configuration_is_a_complete_run() -> None:
    composed = compose([])
    config = from_dict(
        RunConfig, {k: v for k, v in composed.items() if k in RunConfig.__dataclass_fields__}
    )
    assert config.data.source == "stdlib"
    assert config.schedule.kind == "wsd"


@pytest.mark.parametrize("model", ["transformer", "llama", "gpt2", "gemma2", "nanochat"])
@pytest.mark.parametrize("parametrization", ["sp", "mup", "completep"])
def test_every_model_and_parametrization_is_an_architecture(model, parametrization) -> None:
    composed = compose(
        [
            f"model={model}",
            f"parametrization={parametrization}",
            *(["model.base_width=64"] if parametrization != "sp" else []),
            *(["model.base_depth=2"] if parametrization == "completep" else []),
        ]
    )
    architecture = architecture_of(from_dict(ModelConfig, composed["model"], "model"), vocab=256)
    assert architecture.parametrization == parametrization
    shape = architecture.shape
    assert parameter_counts(architecture)["n_block"] == 12 * shape.depth * shape.width**2


def test_every_hyper_parameter_names_its_rule() -> None:
    composed = compose(
        [
            "rule/lr=steplaw",
            "rule/batch=porian",
            "batch=null",
            "rule/beta2=memory",
            "optimizer.beta2=null",
        ]
    )
    config = from_dict(
        RunConfig, {k: v for k, v in composed.items() if k in RunConfig.__dataclass_fields__}
    )
    names = {k: v.name for k, v in vars(config.rule).items() if v is not None}
    assert names == {"lr": "steplaw", "batch": "porian", "beta2": "memory"}


@pytest.mark.parametrize("rule", ["porian", "steplaw", "deepseek", "small"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "wsd", "infinite", "file"])
def test_every_group_option_is_accepted_by_the_typed_configuration(rule, schedule) -> None:
    composed = compose([f"rule={rule}", f"schedule={schedule}", "data=markov"])
    keys = RunConfig.__dataclass_fields__
    assert from_dict(RunConfig, {k: v for k, v in composed.items() if k in keys})


def test_an_own_conf_folder_joins(tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text(
        "name: adamw\nlr: 0.5\nbeta1: 0.9\nbeta2: 0.9\nepsilon: 1e-8\nweight_decay: 0\nclip: 1\n"
    )
    monkeypatch.chdir(tmp_path)
    assert compose(["optimizer=mine"])["optimizer"]["lr"] == 0.5


@pytest.fixture
def of_another_program(tmp_path, monkeypatch) -> Path:
    """A folder whose conf/ is the Hydra folder of another program, now the current one."""
    for name in ("config", "model/gpt2", "data/imagenet", "db/mysql"):
        file = tmp_path / "conf" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("width: not ours\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_hydra_folder_of_another_program_changes_nothing(of_another_program) -> None:
    elsewhere = compose(["model=gpt2"])["model"]
    assert elsewhere["activation"] == "gelu" and elsewhere["width"] != "not ours"


def test_groups_of_ones_own_join_beside_it(of_another_program) -> None:
    for folder, seed in (("scaling_conf", 7), ("lent", 8)):
        study = of_another_program / folder / "study" / "mine.yaml"
        study.parent.mkdir(parents=True)
        study.write_text(f"# @package _global_\nseed: {seed}\n")
    assert compose(["study=mine"])["seed"] == 7
    assert compose(["config=lent", "study=mine"])["seed"] == 8
    assert compose(["study=mine"], of_another_program / "lent")["seed"] == 8
    (of_another_program / "scaling_conf" / "model").mkdir()
    (of_another_program / "scaling_conf" / "model" / "gpt2.yaml").write_text("width: 3\n")
    with pytest.raises(ConfigError, match="gpt2.yaml has the name of a shipped file"):
        compose([])
    with pytest.raises(ConfigError, match="config = 'nowhere': there is no such folder"):
        compose(["config=nowhere"])


def test_keys_beside_a_typo_are_those_of_the_file_that_was_chosen() -> None:
    with pytest.raises(ConfigError, match="did you mean 'data.options.header_bytes'"):
        compose(["data=tokens", "data.options.header_byte=8"])
    with pytest.raises(ConfigError, match="data.options has none; [+]data.options"):
        compose(["data.options.header_byte=8"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.widht=64", "unknown key 'model.widht'; did you mean 'model.width'?"),
        ("sed=1", "unknown key 'sed'; did you mean 'seed'?"),
        ("schedule=cosin", "did you mean 'cosine'? There are: constant, cosine, cyclic, file"),
        (
            "study=quickstrat",
            "there is no conf/study/quickstrat.yaml or scaling_conf/study/quickstrat.yaml; did you mean 'quickstart'",
        ),
        ("model.width", "cannot read the override 'model.width': expected key=value"),
        ("launch.runs=seed > 1", "quote it inside the shell's quotes: \"launch.runs='seed > 1'\""),
        ("seed=${nowhere}", "nowhere"),
        ("optimizer.lr=${oc.env:LR}", "calls the resolver 'oc.env'"),
        ("data.seed=${now:%S}", "calls the resolver 'now'"),
        ("tokens=${hydra:job.num}", "calls the resolver 'hydra'"),
        ("model=null", "'model=null': expected the name of a file of conf/model"),
        ("study=[[1]]", "expected the name of a file of conf/study"),
        ("~model", "a run needs model, nothing would take its place"),
        ("~model.width", "a run needs model.width"),
        (
            "data.options.pattern=*.py,*.md",
            "if it is one text, quote it inside the shell's quotes: \"data.options.pattern='*.py",
        ),
        ("seed=1,2", "names several values, and one configuration is made"),
        ("model.width.x=3", "model.width is a value, not a group of keys; model.width=... sets"),
        ("execution.measure.x=1", "execution.measure is a value, not a group of keys"),
        ("modl.width.x=3", "unknown key 'modl'; did you mean 'model'?"),
        ("trainer.options.x=1", "trainer.options has none; +trainer.options.x=... adds it"),
        ("study.blocks.a.role=fit", "no study is chosen to set it in; give study=NAME"),
    ],
)
def test_mistakes_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_resolvers_are_allowed_where_no_number_is_made(monkeypatch) -> None:
    monkeypatch.setenv("SOMEWHERE", "there")
    assert compose(["outputs=${oc.env:SOMEWHERE}"])["outputs"] == "there"
    assert compose(["batch=4", "seed=${batch}"])["seed"] == 4


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.width=${outputs}"],
        ["+data.options.seed=${launch.w}"],
        ["model.width=${.heads}", "model.heads=${outputs}"],
    ],
)
def test_a_resolver_does_not_reach_the_science_by_a_reference(monkeypatch, overrides) -> None:
    monkeypatch.setenv("W", "32")
    with pytest.raises(ConfigError, match="may refer to keys of its own kind only"):
        compose(["outputs=${oc.env:W}", "+launch.w=${oc.env:W}", *overrides])


def test_a_group_on_the_command_line_takes_the_place_of_another() -> None:
    assert set(compose(["schedule=cosine"])["schedule"]) == {"kind", "warmup_tokens", "final_ratio"}
    with pytest.raises(ConfigError, match="unknown key 'schedule.cooldown_fraction'"):
        compose(["schedule=cosine", "schedule.cooldown_fraction=0.9"])


@pytest.mark.parametrize(
    ("written", "kind", "left"),
    [
        ("schedule: {kind: cosine, final_ratio: 0.1}", "cosine", {}),
        ("schedule: {kind: cosine, cooldown_fraction: 0.9}", "cosine", {"cooldown_fraction": 0.9}),
        ("defaults: [{override /schedule: infinite}]\nschedule: {kind: linear}", "linear", {}),
    ],
)
def test_what_a_file_brought_for_another_kind_goes(tmp_path, monkeypatch, written, kind, left):
    """What somebody set stays, for whoever reads it to refuse."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "mine.yaml").write_text(f"# @package _global_\n{written}\n")
    monkeypatch.chdir(tmp_path)
    found = compose(["study=mine"])["schedule"]
    known = {"kind": kind, "warmup_tokens": None, "final_ratio": found["final_ratio"]}
    assert found == known | left


def test_a_file_that_the_study_overrules_is_refused_with_the_way_out() -> None:
    """`schedule: {kind: linear}` in a study stood against schedule=cosine, without a word."""
    with pytest.raises(ConfigError, match="the study sets schedule.kind = 'linear'; say"):
        compose(["study=optimizers", "schedule=cosine"])
    chosen = compose(["study=optimizers", "schedule=cosine", "schedule.kind=cosine"])
    assert chosen["schedule"]["kind"] == "cosine"
    assert compose(["study=optimizers", "schedule=linear"])["schedule"]["kind"] == "linear"


def test_an_unknown_key_at_the_top_of_a_study_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "mine.yaml").write_text("# @package _global_\nbacth: 64\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="unknown key 'bacth'; did you mean 'batch'"):
        compose(["study=mine"])


def test_an_own_file_may_not_have_the_name_of_a_shipped_one(tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "quickstart.yaml").write_text("# @package _global_\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="quickstart.yaml has the name of a shipped file"):
        compose([])


def test_a_folder_with_odd_letters(tmp_path, monkeypatch) -> None:
    odd = tmp_path / 'a "dir", with (odd)=name'
    (odd / "conf" / "study").mkdir(parents=True)
    (odd / "conf" / "study" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    monkeypatch.chdir(odd)
    assert compose(["study=mine"])["seed"] == 7


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["hydra.run.dir=x"], "'hydra.run.dir=x': no Hydra job is run"),
        (["outputs=null"], "outputs = None: expected the name of a folder"),
        (["model.width.x=3"], "unknown key 'model.width.x'"),
        (["study=quickstart", "study.blocks=[1]"], "study.blocks: Cannot merge"),
        (["model.mlp=4"], "did you mean 'model.mlp_ratio'?"),
    ],
    ids=str,
)
def test_what_changes_nothing_or_does_not_fit_is_refused(overrides, message):
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert message in str(caught.value)


def test_names_of_tensors_are_given_without_a_plus() -> None:
    composed = compose(["init_from.run=abcd", 'init_from.names={head.weight: ""}'])
    assert composed["init_from"]["names"] == {"head.weight": ""}
