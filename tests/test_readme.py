"""What the README shows is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from scalinglab.cli import GROUPS, VERBS
from scalinglab.compose import compose
from scalinglab.sweeps.plan.make import make_plan
from tests.documents import write_documents

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_study_of_the_readme_can_be_planned(tmp_path, monkeypatch) -> None:
    text, _ = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    plan = make_plan(compose(["study=mine"]))
    assert len(plan.runs) == 3 * 3 * 2 + 1
    assert {p.run.config.optimizer.weight_decay for p in plan.runs} == {0.05}


@pytest.mark.long
def test_the_study_on_text_of_ones_own_can_be_planned(tmp_path, monkeypatch) -> None:
    """From a folder of JSON Lines, with a BPE of 4,096."""
    _, text = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "scaling_conf" / "study").mkdir(parents=True)
    (tmp_path / "scaling_conf" / "study" / "arms.yaml").write_text(text)
    write_documents(tmp_path / "corpus")
    monkeypatch.chdir(tmp_path)
    plan = make_plan(compose(["study=arms"]))
    assert len(plan.runs) == 2 * 2 * 4 * 2
    assert {p.run.shape.vocab for p in plan.runs} == {4096}
    assert {p.run.config.model.activation for p in plan.runs} == {"relu2", "swiglu"}


def test_every_verb_is_named() -> None:
    rows = README.partition("## The verbs")[2].partition("\n## ")[0].splitlines()
    named = {
        row.split(" | ")[0].strip("| "): tuple(re.findall(r"`(\w[\w-]*)`", row)) for row in rows
    }
    assert {group: verbs for group, verbs in named.items() if verbs} == GROUPS
    page = (ROOT / "docs" / "verbs.md").read_text()
    assert set(re.findall(r"^\| `scaling ([\w-]+)", page, re.MULTILINE)) == set(VERBS)


def test_every_place_of_the_layout_exists() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    package = ROOT
    for row in design.partition("## Layout")[2].partition("\n## ")[0].splitlines():
        names = re.findall(r"`([^`]+)`", row.split(" | ")[0]) if row.startswith("|") else []
        if row.startswith("| **"):  # a package: what stands below it is in it
            package = ROOT / names[0]
        for name in names:
            assert (package / name).exists() or (ROOT / name).exists(), name


NAMING = [
    path
    for folder in ("analysis", "benchmarks", "conf", "docs", "scaling", "scalinglab", "sweeps")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in (".py", ".md", ".yaml")
]
MODULE = re.compile(r"(?<![\w./])scalinglab(?:\.\w+)+(?![\w{*])")
FILE = re.compile(
    r"(?<![\w./-])(?:analysis|benchmarks|docs|scaling|scalinglab|sweeps|tests)/[\w/-]+\.(?:py|md)\b"
)


def test_every_module_and_file_that_is_named_exists() -> None:
    """In code, comments and docs; of a module also what is named of it."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *NAMING)]
    names = {name for text in texts for name in MODULE.findall(text)}
    files = {name for text in texts for name in FILE.findall(text)}
    assert len(names) > 100 and len(files) > 10
    assert not sorted(name for name in names if not resolves(name))
    assert not sorted(name for name in files if not (ROOT / name).exists())


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something of one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            if part in getattr(found, "__dataclass_fields__", ()):  # one without a default
                return True
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False
