"""A network of one's own from its file to its records: planned, trained, packed, resumed, compared."""

from __future__ import annotations

import dataclasses
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scalinglab import Study, analysis
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.trainer.coordcheck import CoordinateCheck, coordinate_check
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.model.module import MODELS, ModuleNetwork
from scalinglab.scaling.model.options import ModuleConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.run.describe import describe
from tests.test_extending import ROOT, examples_of, forgotten  # noqa: F401

MINE = """
import torch
from torch import nn


class MyNet(nn.Module):
    def __init__(self, vocab, width=8, keep=1.0):
        super().__init__()
        self.keep = keep
        self.embedding = nn.Embedding(vocab, width)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, vocab)
        self.register_buffer("level", torch.ones(width))

    def forward(self, tokens):
        x = torch.tanh(self.hidden(self.embedding(tokens)))
        if self.training:
            self.level.lerp_(x.detach().mean((0, 1)), 0.01)
        x = nn.functional.dropout(x + self.level, 1 - self.keep, self.training)
        return self.head(x)
"""
STUDY = """# @package _global_
extend: [mine.py]
defaults:
  - override /model: module
  - override /data: markov
  - _self_
study:
  name: own
  question: does it train?
  blocks:
    all: {role: fit, grid: {model: {options: {width: [8, 16]}}, tokens: [640, 1280]}}
    rest: {role: sweep, grid: {seed: [1, 2], model: {options: {width: [8]}}, tokens: [640]}}
  answer: {kind: lr_sensitivity}
model: {target: mine.MyNet, options: {width: 8}, context: 16}
data: {options: {vocab: 8, tokens: 20001, validation_tokens: 1025}, validation_tokens: 512}
optimizer: {lr: 0.01}
batch: 4
"""


@pytest.fixture
def mine() -> None:
    """The file and a study of it in the folder of the test."""
    Path("mine.py").write_text(MINE)
    folder = Path("scaling_conf/study")
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(STUDY)


def opened(*overrides: str, outputs: str = "outputs") -> Study:
    given = ("launch.measure=off", "launch.workers=1", *overrides)
    return Study.open("own", *given, outputs=outputs)


@pytest.mark.long
def test_a_study_of_it_trains_by_workers_and_its_options_are_columns(mine) -> None:
    plan = opened().plan()
    assert any("mine.MyNet has buffers" in note for note in plan.notes + plan.warnings)
    assert set(plan.frame["N"]) == {8 * 8 + 8 * 8, 16 * 16 + 8 * 16}
    assert opened().launch().code == 0
    runs = analysis.load("outputs", study="own")
    assert len(runs) == 6 and np.isfinite(runs["loss"]).all()
    assert set(runs["width"]) == {8, 16} and (runs["n_active"] == runs["n_matmul"]).all()
    assert not opened().plan().frame["new_steps"].any()


@pytest.mark.long
def test_a_run_with_a_state_and_random_draws_resumes_to_the_same_bits(mine) -> None:
    """Its buffers are in the checkpoint, and what it draws hangs on seed and step alone."""
    curves = []
    for outputs, stops in (("whole", False), ("parts", True)):
        prepared = opened("model.options.keep=0.5", outputs=outputs).plan().prepared
        planned = prepared.plan.runs[0]
        folder = prepared.plan.run_folder(planned)
        folder.describe(describe(planned.run, planned.store))
        attempts = 0
        while folder.done() is None:
            claim = Claim.acquire(folder, 60)
            assert claim is not None
            train([claim], {}, prepared.plan.execution, lambda stops=stops: stops)
            attempts += 1
        curves.append(gzip.decompress((folder.path / f"curve-{attempts:04d}.csv.gz").read_bytes()))
        kept = [torch.load(path)["state"] for path in Path(outputs).rglob("*.pt")]
        assert kept and all("buffer/level" in state for state in kept)
    assert attempts > 2 and curves[0] == curves[1]


@pytest.mark.parametrize(
    ("example", "options"),
    [("mingru", {"width": 16, "depth": 1}), ("parscale", {"width": 16, "depth": 1, "streams": 3})],
)
def test_members_of_a_pack_are_what_they_are_alone(forgotten, example, options) -> None:  # noqa: F811
    loading.extend(str(ROOT / f"examples/{example}/{example}.py"))
    network = ModuleNetwork(example, options, 16, 8)
    assert network.rehearsed.alone == ""
    members = [Member(seed, OPTIMIZERS["muon"]()) for seed in (0, 1)]
    tokens = np.random.default_rng(0).integers(8, size=(5, 2, 4, 17))
    lr = np.full((5, 2), 1e-2)
    both = EagerEngine(network, members).train(tokens, lr, torch.Tensor.backward)
    for i, member in enumerate(members):
        alone = EagerEngine(network, [member])
        result = alone.train(tokens[:, i : i + 1], lr[:, :1], torch.Tensor.backward)
        assert np.allclose(result.loss[:, 0], both.loss[:, i], rtol=1e-4)
    assert not np.allclose(both.loss[0, 0], both.loss[0, 1], rtol=1e-6)


def test_parallel_streams_cost_what_the_paper_counts(forgotten) -> None:  # noqa: F811
    """P passes through the blocks, each with a prefix of S tokens, and a sum that reads them all."""
    loading.extend(str(ROOT / "examples/parscale/parscale.py"))
    L, d, P, S, T, V = 2, 32, 4, 5, 16, 8
    options = {"depth": L, "width": d, "streams": P, "prefix": S}
    census = ModuleNetwork("parscale", options, T, V).census
    blocks, prefixes, summing = 12 * L * d**2, 2 * L * P * S * d, P * d**2 + P * d
    assert census.counts["n_block"] == blocks + summing
    assert census.counts["embedding"] == V * d + prefixes
    assert census.counts["n_active"] == P * blocks + prefixes + summing + V * d
    assert census.flops["attention_full"] == P * L * 12 * d * T
    one = ModuleNetwork("parscale", {**options, "streams": 1}, T, V).census.counts
    assert one["n_block"] == blocks and one["n_active"] == one["n_matmul"]


@pytest.mark.long
def test_the_study_of_the_example_is_planned(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT / "examples/mingru")
    plan = Study.open("mingru", f"outputs={tmp_path}", "launch.measure=off").plan()
    assert len(plan.frame) == 40
    assert set(plan.frame["N"]) == {256 * 16 + 20 * 16**2, 256 * 64 + 20 * 64**2}


def test_mup_keeps_scales_of_the_base_and_moves_all_widths_alike(monkeypatch) -> None:
    loading.extend(str(ROOT / "examples/mingru/mingru.py"))
    options, base = {"width": 256, "depth": 1}, {"width": 16}
    wide = ModuleNetwork("mingru", options, 16, 32, "mup", base)
    narrow = dict(initial_weights(wide.base, 0))
    for name, weight in initial_weights(wide, 0):
        role = wide.census.tensors[name].role
        power = {"hidden": -0.5, "head": -1.0, "embedding": 0.0}.get(role)
        if power is not None:
            ratio = float(weight.std() / narrow[name].std())
            assert math.isclose(ratio, 16**power, rel_tol=0.02), name
    check = CoordinateCheck(
        widths=[16, 128],
        depths=[1],
        parametrizations=["sp", "mup"],
        model=ModuleConfig(target="mingru", options={"depth": 1}, context=16, base_options=base),
        optimizer=OPTIMIZERS["adamw"](lr=0.02),
        seeds=2,
    )
    check = dataclasses.replace(check, model=dataclasses.replace(check.model, options=options))
    moved = {(r["parametrization"], r["width"]): r["hidden"] for r in coordinate_check(check)}
    assert moved["sp", 16] == moved["mup", 16]  # at the base they are the same training
    assert moved["sp", 128] > 1.3 * moved["sp", 16]
    assert moved["mup", 128] < 1.15 * moved["mup", 16]


HF = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}


def test_a_model_of_hugging_face_goes_through_the_same_door() -> None:
    pytest.importorskip("transformers")
    network = ModuleNetwork("transformers.LlamaForCausalLM", HF, 8, 12)
    counts, flops = network.census.counts, network.census.flops
    block = 4 * 16 * 16 + 3 * 16 * 32
    assert counts["n_block"] == 2 * block and counts["unembedding"] == 12 * 16
    assert flops["attention_full"] == 2 * 12 * 16 * 8
    assert not [name for name, t in network.census.tensors.items() if t.role == "other"]
    assert not network.rehearsed.draws
    tied = ModuleNetwork(network.target, {**HF, "tie_word_embeddings": True}, 8, 12)
    assert tied.census.tied and tied.census.counts["n_total"] == counts["n_total"] - 12 * 16
    mup = dataclasses.replace(
        tied,
        options={**HF, "hidden_size": 32, "intermediate_size": 64, "tie_word_embeddings": True},
        base_options={"hidden_size": 16, "intermediate_size": 32},
        parametrization="mup",
    )
    assert mup.head_multiplier == 0.5
    with pytest.raises(UserError, match="hiden_size: LlamaConfig has no such key"):
        dataclasses.replace(network, options={"hiden_size": 3}).census  # noqa: B018


def test_shared_parameters_stay_shared_in_the_engine() -> None:
    class Tied(nn.Module):
        def __init__(self, vocab: int) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocab, 8)
            self.head = nn.Linear(8, vocab, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens):
            return self.head(self.embedding(tokens))

    MODELS.register("tied", __name__)(Tied)
    network = ModuleNetwork("tied", {}, 8, 12)
    engine = EagerEngine(network, [Member(0, OPTIMIZERS["adamw"]())])
    tokens = np.random.default_rng(0).integers(12, size=(3, 1, 4, 9))
    before = engine.state(0)["weight/embedding.weight"]
    engine.train(tokens, np.full((3, 1), 0.1), torch.Tensor.backward)
    model = engine._loss.model
    assert model.head.weight is model.embedding.weight
    assert not torch.equal(engine.state(0)["weight/embedding.weight"], before)
    assert network.rehearsed.alone == ""


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model.target=mine.Net",), "mine.py has no 'Net'"),
        (("model.target=other.Net",), "there is no module 'other'"),
        (("model.options.widht=3",), "model.options.widht: mine.MyNet does not take it"),
        (("execution.loss_chunk=4",), "loss_chunk = 4 clashes with model.target"),
        (("execution.recompute=true",), "recompute = True clashes with model.target"),
        *(
            ((f"execution.measure=[logits,{name}]",), "looks at the blocks of the shipped")
            for name in ("activations", "parts", "singular_values")
        ),
        (("execution.processes=2",), "has the buffers level"),
        (
            ("execution.processes=2", "execution.shard=true"),
            "shard = True clashes with model.target",
        ),
        (("parametrization=mup",), "needs model.base_options"),
        (("parametrization=mup", "model.base_options.depth=3"), "base_options has depth"),
        (("parametrization=ntk",), "model.parametrization = .ntk. is not one of: sp, mup"),
        (("parametrization=completep",), "'completep' clashes with model.target: it scales"),
        (("model.roles.head=hed",), "model.roles.head = 'hed' is not one of"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence_before_anything_is_spent(mine, overrides, said) -> None:
    with pytest.raises(UserError, match=said) as caught:
        opened(*overrides).plan()
    assert "\n" not in str(caught.value)
    assert not list(Path("outputs").rglob("runs/*"))


def test_a_syntax_error_is_one_sentence(mine) -> None:
    Path("mine.py").write_text("class MyNet(:")
    with pytest.raises(UserError, match=r"mine\.py, line 1: invalid syntax"):
        opened().plan()


def test_the_network_of_the_page_plans_and_trains() -> None:
    texts = [text for text in examples_of("extending.md") if "register.model" in text]
    assert len(texts) == 1
    Path("page.py").write_text(texts[0])
    from scalinglab.single_run import train_run

    end = train_run(
        "extend=[page.py]",
        "model=recurrent",
        "model.options.width=16",
        "model.context=16",
        "data=markov",
        "data.options={vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}",
        "data.validation_tokens=512",
        "tokens=1280",
        "batch=4",
        "optimizer.lr=0.01",
    )
    assert end.record is not None and end.record.final.validation_loss < 3
