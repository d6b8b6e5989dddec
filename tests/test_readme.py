"""What the README shows is true."""

from __future__ import annotations

import re
from pathlib import Path

from scalinglab.cli import VERBS
from scalinglab.compose import compose
from scalinglab.sweeps.plan.make import make_plan

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_study_of_the_readme_can_be_planned(tmp_path, monkeypatch) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    plan = make_plan(compose(["study=mine"]))
    assert len(plan.runs) == 3 * 3 * 2 + 1
    assert {p.run.config.optimizer.weight_decay for p in plan.runs} == {0.05}


def test_every_verb_and_every_file_that_is_named_exists() -> None:
    assert set(re.findall(r"^\| `scaling (\w+)", README, re.MULTILINE)) == set(VERBS)
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    package = ROOT
    for row in README.partition("## The files")[2].partition("\n## ")[0].splitlines():
        names = re.findall(r"`([^`]+)`", row)
        if row.startswith("| **"):  # a package: what stands below it is in it
            package = ROOT / names[0]
        folders = [ROOT, package, *(package / name for name in names if name.endswith("/"))]
        for name in names:
            assert any((folder / name).exists() for folder in folders), name
