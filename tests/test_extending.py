"""The parts of docs/extending.md and of examples/ are what they say, and join from their files."""

from __future__ import annotations

import contextlib
import copy
import re
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.config_store import ConfigStore

from scalinglab import Study, analysis, register
from scalinglab.analysis.reporting.verdict import give_verdict
from scalinglab.scaling.engine.optimizers.optimizer import build_optimizer
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

ROOT = Path(__file__).parents[1]
STUDY = """# @package _global_
study:
  name: own
  question: does it train?
  blocks: {all: {role: fit, grid: {tokens: [640, 1280]}}}
  answer: {kind: lowest, options: {column: train_loss}}
model: {depth: 1, width: 16, heads: 2, context: 16}
batch: 4
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch, tmp_path):
    """A folder of one's own; what a file registers is gone after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_loaded", {})
    groups = {
        name: copy.deepcopy(group)
        for name, group in ConfigStore.instance().repo.items()
        if isinstance(group, dict)
    }
    yield
    for kind in register.KINDS:
        registry = register.registry(kind)
        for name in [n for n in registry if not registry.is_shipped(n)]:
            del registry[name]
    for module in [m for m in sys.modules if m.startswith(loading.FILES_AS)]:
        del sys.modules[module]
    for name in ("optimizer", "model", "schedule", "data"):
        ConfigStore.instance().repo[name] = groups.get(name, {})


def examples_of(page: str) -> list[str]:
    """The texts of a page's blocks of Python."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.mark.long
def test_the_parts_of_the_page_train_together() -> None:
    names = []
    for i, text in enumerate(examples_of("extending.md")):
        Path(f"part{i}.py").write_text(text)
        names.append(f"part{i}.py")
    assert len(names) == 9
    folder = Path("scaling_conf/study")
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(STUDY)
    end = Study.open(
        "own",
        f"extend=[{','.join(names)}]",
        "optimizer=signum",
        "optimizer.momentum=0.8",
        "optimizer.lr=0.01",
        "schedule=two_steps",
        "model/feed_forward=bottleneck",
        "model.feed_forward.rank=4",
        "model.norm=scale",
        "model/linear=diagonal_plus",
        "model.linear.rank=0.25",
        "model.linear.within=mixer",
        "model.residual=gated",
        "data=counting",
        "data.options={vocab: 16, tokens: 20000, validation_tokens: 257}",
        "data.validation_tokens=256",
        "execution.measure=[weight_norm]",
        "launch.measure=off",
        "launch.workers=1",
    ).launch()
    assert end.code == 0
    assert set(end.frame["state"]) == {"done"}

    assert (analysis.load("outputs", study="own")["weight_norm"] > 0).all()
    verdict = give_verdict("outputs", "own")
    assert "has the lowest train_loss" in verdict.finding.sentences[0]


# What a file may get wrong, and a part of the sentence that it is told by.
HEAD = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from scalinglab import register
from scalinglab.analysis import Law
from scalinglab.scaling.data.source import Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.schedule import ScheduleConfig
"""
OPTIMIZER = """
@register.optimizer("odd")
@dataclass(frozen=True, kw_only=True)
class Odd(OptimizerConfig):
    name: str = "odd"
"""
SCHEDULE = """
@register.schedule("odd")
@dataclass(frozen=True, kw_only=True)
class Odd(ScheduleConfig):
    kind: str = "odd"
    def build(self, room):
        return {}
"""
SOURCE = """
@register.source("odd")
@dataclass(frozen=True)
class Odd(Source):
    def corpus(self):
        return {}
"""
NORM = """
from torch import nn
from scalinglab.scaling.model.part import Norm
@register.norm("odd")
@dataclass(frozen=True, kw_only=True)
class Odd(Norm):
    name: str = "odd"
    def tensors(self, width):
        return {"gain": (width,)}
@register.normed_by("odd")
def odd(own, width):
    return nn.LayerNorm(width)
"""
TOKENS = "Corpus(np.array({}, np.{}), np.arange(9, dtype=np.uint8), 64, 1.0)"
WRONG = {
    'register.law("odd")(lambda D: D)': r"law = 'odd' of .*odd\.py: function .* a Law is wanted",
    'register.verdict("odd")(3)': r"study\.answer\.kind = 'odd' of .*: 3 \(int\)",
    '@register.optimizer("odd")\nclass Odd: pass': "a subclass of OptimizerConfig is wanted",
    '@register.schedule("odd")\nclass Odd(ScheduleConfig): pass': "class Odd is no dataclass",
    OPTIMIZER: "class Odd lacks moment_floats, update_floats",
    SCHEDULE.replace('kind: str = "odd"', "x: int = 3"): "kind = 'wsd': give it the field kind",
    OPTIMIZER + "    moment_floats: ClassVar = (1, 1)\n    update_floats: ClassVar = 1\n": (
        r"has a register\.optimizer and no register\.update\('odd'\)"
    ),
    'register.measured_by("odd")(print)': r"has a register\.measured_by and no register\.measurement",
    SCHEDULE.format("None"): "its pieces are no list of Piece: None",
    SCHEDULE.format("[Piece('wobble', room.steps, 1, 1)]"): "shape 'wobble'; known are constant",
    SCHEDULE.format("[Piece('linear', room.steps, 1, -1)]"): "the rate -1; allowed is 0 or more",
    SCHEDULE.format("[Piece('linear', 3, 1, 1)]"): "its pieces fill 3 steps of a run of 10",
    SOURCE.format("(1, 2)"): r"data\.source = 'odd': corpus\(\) gave a tuple",
    SOURCE.format(TOKENS.format("[1, 2]", "int64")): "train tokens are int64; allowed is uint8",
    SOURCE.format(TOKENS.format("[]", "uint8")): "it has no train tokens",
    SOURCE.format(TOKENS.format("[1, 64]", "uint8")): "the token 64; its vocabulary is 0 to 63",
    "raise SystemExit(3)": "SystemExit: 3",
    NORM: r"'odd': tensors\(\) says blocks\.0\.attention_norm\.gain of 16 where the module has .*weight",
}
CHOSEN = {"schedule": "schedule", "data": "source", "model/norm": "norm"}


@pytest.mark.parametrize("text", WRONG)
def test_what_a_file_gets_wrong_is_one_sentence(text: str) -> None:
    Path("odd.py").write_text(HEAD + text)
    chosen = [f"{group}=odd" for group, kind in CHOSEN.items() if f"register.{kind}(" in text]
    folder = Path("scaling_conf/study")
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(
        "".join(row for row in STUDY.splitlines(True) if "lowest" not in row)
    )
    with pytest.raises(UserError, match=WRONG[text]):
        Study.open("own", "extend=[odd.py]", "optimizer.lr=0.01", *chosen).plan()


# ---------------------------------------------------------------------- what trains wrongly

OWN_UPDATE = """
from dataclasses import dataclass
from typing import ClassVar
from scalinglab import register
from scalinglab.scaling.engine.optimizers.optimizer import Optimizer
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

@register.optimizer("odd")
@dataclass(frozen=True, kw_only=True)
class OddConfig(OptimizerConfig):
    moment_floats: ClassVar[tuple[float, float]] = (1, 1)
    update_floats: ClassVar[float] = 1
    name: str = "odd"

@register.update("odd")
class Odd(Optimizer):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}

    def update(self, weights, gradient, lr, count):
        self.first.lerp_(gradient, 0.1)
        self.move(weights, self.first / (1e-3 + self.norm(self.first)), lr)
"""


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("", "", ""),
        ('{"first": self.first}', "{}", "resumed after an update it goes on otherwise"),
        (
            "self.move(weights, self.first / (1e-3 + self.norm(self.first)), lr)",
            "weights = weights - lr.float() * self.first",
            "leaves the weights as they are",
        ),
        ("self.norm(self.first)", "self.first.norm()", "no operation may mix rows"),
    ],
)
def test_an_optimizer_that_would_train_wrongly_is_refused(right, wrong, told) -> None:
    Path("odd.py").write_text(OWN_UPDATE.replace(right, wrong) if right else OWN_UPDATE)
    loading.extend("odd.py")
    with pytest.raises(UserError, match=told) if told else contextlib.nullcontext():
        built("odd")


# ---------------------------------------------------------------------- examples/hyperball


SIZES = {"embedding": (7, 6), "wide": (6, 24), "gain": (6,), "tall": (24, 6)}
RULES = {
    "embedding": TensorRule("embedding", 1.0, weight_decay=0.0),
    "wide": TensorRule("hidden", 1.0),
    "gain": TensorRule("gain", 1.0, weight_decay=0.0),
    "tall": TensorRule("hidden", 1.0, lr=0.5),
}
LR = torch.tensor([0.1, 0.02], dtype=torch.float64)


def start() -> torch.Tensor:
    count = sum(torch.Size(size).numel() for size in SIZES.values())
    return torch.randn(2, count, generator=torch.Generator().manual_seed(0))


def gradients(steps: int) -> torch.Tensor:
    return torch.randn(steps, *start().shape, generator=torch.Generator().manual_seed(1))


def built(name: str, *members: dict):
    sizes = {n: torch.Size(size) for n, size in SIZES.items()}
    settings = [OPTIMIZERS[name](weight_decay=0.1, **own) for own in members or ({}, {})]
    return build_optimizer(settings, sizes, RULES, "cpu")


def parts(weights: torch.Tensor) -> dict[str, torch.Tensor]:
    counts = [torch.Size(size).numel() for size in SIZES.values()]
    return dict(zip(SIZES, weights.split(counts, dim=1), strict=True))


@pytest.mark.parametrize("base", ["adamw", "nadamw", "lion", "sgd", "muon"])
def test_hyperball_keeps_lengths_and_turns_by_the_learning_rate(base: str) -> None:
    loading.extend(str(ROOT / "examples/hyperball/hyperball.py"))
    wrapped, plain = built(f"{base}_hyperball"), built(base)
    weights, beside = start(), start()
    for k, gradient in enumerate(gradients(3), 1):
        before = {n: part.clone() for n, part in parts(weights).items()}
        wrapped.step(weights, gradient.clone(), LR, k)
        plain.step(beside, gradient.clone(), LR, k)
        for name, rate in (("wide", 1.0), ("tall", 0.5)):
            old, new = before[name], parts(weights)[name]
            torch.testing.assert_close(new.norm(dim=1), old.norm(dim=1), rtol=1e-5, atol=0)
            # A step of length lr R before it is brought back: the chord is no longer than that.
            moved = (new - old).norm(dim=1) / old.norm(dim=1)
            assert (moved <= 1.02 * rate * LR).all() and (moved > 0.5 * rate * LR).all()
        for name in ("embedding", "gain"):
            torch.testing.assert_close(parts(weights)[name], parts(beside)[name])


def test_hyperball_resumes_bit_for_bit() -> None:
    loading.extend(str(ROOT / "examples/hyperball/hyperball.py"))
    whole, weights = built("adamw_hyperball"), start()
    for k, gradient in enumerate(gradients(6), 1):
        if k == 4:
            kept = {n: m.clone() for n, m in whole.moments.items()}
            second, again = built("adamw_hyperball"), weights.clone()
        whole.step(weights, gradient.clone(), LR, k)
    for name, moment in kept.items():
        second.moments[name].copy_(moment)
    for k, gradient in enumerate(gradients(6)[3:], 4):
        second.step(again, gradient.clone(), LR, k)
    assert torch.equal(again, weights)


def test_pruning_leaves_the_shares_that_it_says_and_needs_no_mask() -> None:
    """What is zero stays zero, so the second half goes on from weights and moments alone."""
    loading.extend(str(ROOT / "examples/pruning/pruning.py"))
    keys = [{"sparsity": share, "first": 1, "last": 4} for share in (0.5, 0.25)]
    whole, weights = built("pruned_adamw", *keys), start()
    gone = {n: part == 0 for n, part in parts(weights).items()}
    for k, gradient in enumerate(gradients(6), 1):
        if k == 4:
            kept = {n: m.clone() for n, m in whole.moments.items()}
            second, again = built("pruned_adamw", *keys), weights.clone()
        whole.step(weights, gradient.clone(), LR, k)
        t = min(max(k - 1, 0) / 3, 1)
        for name, part in parts(weights).items():
            share = 1 - (1 - t) ** 3 if RULES[name].role == "hidden" else 0
            zeros = [int(s * share * part.shape[1]) for s in (0.5, 0.25)]
            assert (part == 0).sum(1).tolist() == pytest.approx(zeros, abs=1)
            assert (part[gone[name]] == 0).all()
            gone[name] = part == 0
    for name, moment in kept.items():
        second.moments[name].copy_(moment)
    for k, gradient in enumerate(gradients(6)[3:], 4):
        second.step(again, gradient.clone(), LR, k)
    assert torch.equal(again, weights)
    with pytest.raises(UserError, match=r"optimizer\.first: allowed is less than optimizer\.last"):
        built("pruned_adamw", {"first": 4, "last": 4})


@pytest.mark.parametrize(("name", "runs"), [("hyperball", 96), ("pruning", 40)])
def test_studies_of_examples_are_planned(name, runs, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT / "examples" / name)
    plan = Study.open(name, f"outputs={tmp_path}", "launch.measure=off").plan()
    assert len(plan.frame) == runs
