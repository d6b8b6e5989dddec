"""A file of one's own at the command line: chosen as what is shipped, trained by workers, fitted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from scalinglab import Study, analysis, register
from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.records.run_folder import RunFolder

# An optimizer, its update, a schedule and a law in one file.
OWN = '''
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scalinglab import register
from scalinglab.analysis import Law, Parameter
from scalinglab.scaling.engine.optimizers.optimizer import Optimizer
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.schedule.schedule import ScheduleConfig


@register.optimizer("signum")
@dataclass(frozen=True, kw_only=True)
class SignumConfig(OptimizerConfig):
    """The sign of a momentum."""

    update_family: ClassVar[str | None] = "adaptive"
    moment_floats: ClassVar[tuple[float, float]] = (1, 1)
    update_floats: ClassVar[float] = 2
    name: str = "signum"
    momentum: float = setting(0.9, Within(0, 1, below=True))


@register.update("signum")
class Signum(Optimizer):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.first = self.zeros()
        self.moments = {"first": self.first}
        self.momentum = self.column("momentum")

    def update(self, weights, gradient, lr, count):
        self.decay(weights, lr)
        self.first.lerp_(gradient, (1 - self.momentum).float())
        self.move(weights, self.first.sign() + 0 * self.first, lr)


@register.schedule("two_steps")
@dataclass(frozen=True, kw_only=True)
class TwoSteps(ScheduleConfig):
    """The peak, then a share of it."""

    kind: str = "two_steps"
    share: float = setting(0.1, Within(0, 1))

    def build(self, room):
        half = room.left // 2
        return [
            Piece("constant", half, room.peak, room.peak),
            Piece("constant", room.left - half, self.share * room.peak, self.share * room.peak),
        ]


def _value(D, E, B):
    return E + B * D**-0.5


register.law("half_power")(
    Law(
        name="half_power",
        formula="L = E + B / D^0.5",
        source="made up",
        columns={"D": "training tokens"},
        parameters=(Parameter("E", low=0), Parameter("B", low=0)),
        value=_value,
        linear=("E", "B"),
    )
)
'''

STUDY = """# @package _global_
extend: [mine.py]
study:
  name: own
  question: does it train?
  blocks:
    all:
      role: fit
      grid:
        optimizer.name: [adamw, signum]
        tokens: [640, 1280, 2560]
  answer: {law: half_power}
defaults:
  - override /data: markov
  - override /schedule: two_steps
model: {depth: 1, width: 16, heads: 2, context: 16}
data: {validation_tokens: 512}
batch: 4
optimizer: {lr: 0.01}
"""


@pytest.fixture(autouse=True)
def own(monkeypatch, tmp_path):
    """A folder with the file; what it registers is gone after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_loaded", {})
    Path("mine.py").write_text(OWN)
    yield
    for kind in ("optimizer", "update", "schedule", "law"):
        registry = register.registry(kind)
        for name in [n for n in registry if not registry.is_shipped(n)]:
            del registry[name]
    for module in [m for m in sys.modules if m.startswith(loading.FILES_AS)]:
        del sys.modules[module]
    for group in ("optimizer", "schedule"):
        for name in ("signum.yaml", "two_steps.yaml"):
            ConfigStore.instance().repo.get(group, {}).pop(name, None)


def test_a_part_is_chosen_with_its_keys_without_a_file_of_groups() -> None:
    composed = compose(["extend=[mine.py]", "optimizer=signum", "optimizer.momentum=0.5"])
    assert composed["optimizer"] == {
        "name": "signum",
        "momentum": 0.5,
        "lr": None,
        "weight_decay": 0.1,
        "clip": 1.0,
    }
    assert composed["extend"] == [str(Path("mine.py").resolve())]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["optimizer=signum"], r"optimizer = 'signum': there is no conf/optimizer/signum\.yaml"),
        (["extend=[mine.py]", "optimizer=signun"], r"did you mean 'signum'"),
        (["extend=[mine.py]", "optimizer=signum", "optimizer.momentun=1"], "optimizer.momentum"),
        (["extend=[mone.py]"], r"extend: there is no file 'mone\.py'"),
        (["extend={a: 1}"], "expected a list of .py files and modules"),
        (["extend=[3]"], "expected a list of .py files and modules"),
    ],
)
def test_a_mistake_is_one_sentence(overrides, told) -> None:
    with pytest.raises(ConfigError, match=told):
        compose(overrides)


@pytest.mark.long
def test_a_study_of_own_parts_is_trained_by_workers_and_fitted(monkeypatch, capsys) -> None:
    folder = Path("scaling_conf/study")
    folder.mkdir(parents=True)
    (folder / "own.yaml").write_text(STUDY)
    study = Study.open("own", "launch.workers=1", "launch.measure=off")
    assert not [w for w in study.plan().warnings if "of N" in w or "same N" in w]  # a law of D
    end = study.launch()
    assert end.code == 0
    runs = analysis.load("outputs", study="own")
    assert set(runs["status"]) == {"done"} and len(runs) == 6
    fingerprints = {
        record.spec.optimizer.name: record.code.fingerprint
        for record in (RunFolder(Path("outputs/runs") / i).record() for i in runs["run_id"])
    }
    assert fingerprints["signum"].startswith(f"{fingerprints['adamw']}+signum=")
    # In another process, from which the file has gone, the copy beside the plan is asked.
    for kind in ("law", "optimizer", "update", "schedule"):
        registry = register.registry(kind)
        for name in [n for n in registry if not registry.is_shipped(n)]:
            del registry[name]
    monkeypatch.setattr(loading, "_loaded", {})
    Path("mine.py").unlink()
    with pytest.raises(SystemExit) as left:
        main(["fit", "study=own", "resamples=0"])
    assert left.value.code == 0 and "half_power" in capsys.readouterr().out


def test_a_law_of_a_file_is_fitted_to_a_table(capsys) -> None:
    Path("t.csv").write_text(
        "D,loss\n" + "".join(f"{d},{2 + 30 / d**0.5}\n" for d in (1e6, 4e6, 1e7, 3e7, 1e8))
    )
    with pytest.raises(SystemExit) as left:
        main(["fit", "data=t.csv", "law=half_power", "extend=mine.py", "resamples=0"])
    out = capsys.readouterr().out
    assert left.value.code == 0 and "half_power" in out


def test_parts_are_listed_with_their_file(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["parts", "kind=optimizer", "extend=[mine.py]"])
    out = capsys.readouterr().out
    assert "signum" in out and "mine.py" in out and "momentum=0.9" in out and "adamw" in out


def test_a_defect_of_a_file_is_told_as_its_own(monkeypatch, capsys) -> None:
    Path("mine.py").write_text(
        OWN.replace("    return E + B * D**-0.5", "    return E + B * D['tokens']")
    )
    Path("t.csv").write_text("D,loss\n1e6,3\n4e6,2.5\n1e7,2.2\n3e7,2.1\n")
    with pytest.raises(SystemExit) as left:
        main(["fit", "data=t.csv", "law=half_power", "extend=mine.py", "resamples=0"])
    shown = capsys.readouterr()
    assert left.value.code == 1
    assert "It came from mine.py, which extend names: line" in shown.out + shown.err


def test_a_file_of_a_package_is_told_to_be_named_by_its_module() -> None:
    Path("parts").mkdir()
    Path("parts/__init__.py").write_text("")
    Path("parts/mine.py").write_text("from . import other\n")
    with pytest.raises(ConfigError, match=r"extend=\[parts\.mine\]"):
        compose(["extend=[parts/mine.py]"])


def test_the_command_line_adds_to_what_a_study_names(tmp_path) -> None:
    """Else a law asked for there would take the study's own network away."""
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "scaling_conf" / "study").mkdir(parents=True)
    (tmp_path / "scaling_conf" / "study" / "extended.yaml").write_text(
        "# @package _global_\nextend: [first.py]\nstudy: {name: extended, question: q, blocks: {}}\n"
    )
    for added in ("[second.py]", "second.py", "[first.py,second.py]"):
        composed = compose(["study=extended", f"extend={added}"])
        assert [Path(name).name for name in composed["extend"]] == ["first.py", "second.py"]
    assert [Path(name).name for name in compose(["study=extended"])["extend"]] == ["first.py"]
