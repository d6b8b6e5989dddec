"""The parts of docs/extending.md and of examples/ are what they say, and join from their files."""

from __future__ import annotations

import copy
import re
import sys
from pathlib import Path

import pytest
import torch
from hydra.core.config_store import ConfigStore

from scalinglab import Study, register
from scalinglab.scaling.engine.optimizers.optimizer import build_optimizer
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.model.parametrization import TensorRule
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

ROOT = Path(__file__).parents[1]
STUDY = """# @package _global_
study:
  name: own
  question: does it train?
  blocks: {all: {role: fit, grid: {tokens: [640, 1280]}}}
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


def test_the_parts_of_the_page_train_together() -> None:
    names = []
    for i, text in enumerate(examples_of("extending.md")):
        Path(f"part{i}.py").write_text(text)
        names.append(f"part{i}.py")
    assert len(names) == 4
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
        "data=counting",
        "data.options={vocab: 16, tokens: 20000, validation_tokens: 257}",
        "data.validation_tokens=256",
        "launch.measure=off",
        "launch.workers=1",
    ).launch()
    assert end.code == 0
    assert set(end.frame["state"]) == {"done"}


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


def built(name: str):
    sizes = {n: torch.Size(size) for n, size in SIZES.items()}
    return build_optimizer([OPTIMIZERS[name](weight_decay=0.1)] * 2, sizes, RULES, "cpu")


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


def test_the_study_of_hyperball_is_planned(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT / "examples/hyperball")
    plan = Study.open("hyperball", f"outputs={tmp_path}").plan()
    assert len(plan.frame) == 96
