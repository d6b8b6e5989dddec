"""Files of a person's own add parts; what they are is known by their text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions import loading, used
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records.fingerprint import code_fingerprint, versions_of_code
from scalinglab.scaling.training.child import child_environment
from scalinglab.sweeps.launch.freeze import freeze

OWN = """
from dataclasses import dataclass
from typing import ClassVar
from scalinglab import register
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig


@register.optimizer("own_step")
@dataclass(frozen=True, kw_only=True)
class OwnConfig(OptimizerConfig):
    "The arithmetic stands elsewhere."
    moment_floats: ClassVar[tuple[float, float]] = (0, 0)
    update_floats: ClassVar[float] = 0
    name: str = "own_step"
    radius: float = 2.0
"""
SCIENCE = {"optimizer": {"name": "own_step"}}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch, tmp_path):
    """What a test registers is gone after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_loaded", {})
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in [n for n in OPTIMIZERS if not OPTIMIZERS.is_shipped(n)]:
        del OPTIMIZERS[name]
    for module in set(sys.modules) - modules:
        if module.startswith((loading.FILES_AS, "ownpackage")):
            del sys.modules[module]
    sys.path[:] = path


def test_a_file_registers_and_is_known_by_its_text_without_comments() -> None:
    Path("mine.py").write_text(OWN)
    (first,) = loading.load(["mine.py"])
    assert OPTIMIZERS["own_step"].radius == 2.0 and loading.loaded() == (first,)
    Path("mine.py").write_text("# a remark\n" + OWN)
    assert loading.load(["mine.py"])[0] is first
    Path("mine.py").write_text(OWN.replace("2.0", "3.0"))
    (second,) = loading.load(["mine.py"])
    assert OPTIMIZERS["own_step"].radius == 3.0 and second.text != first.text


def test_a_run_is_marked_by_the_extensions_that_it_uses_alone() -> None:
    Path("mine.py").write_text(OWN)
    (own,) = loading.load(["mine.py"])
    assert used.run_fingerprint({"optimizer": {"name": "adamw"}}) == code_fingerprint()
    assert used.run_fingerprint(SCIENCE) == f"{code_fingerprint()}+own_step={own.text}"


@pytest.mark.parametrize(
    ("fingerprints", "versions"),
    [
        (["a", "a+x=1", "a+y=2", "a+x=1+y=2"], []),
        (["a", "b+x=1"], ["a", "b"]),
        (["a+x=1", "a", "a+x=2+y=1"], ["x=1", "x=2"]),
        ([], []),
    ],
)
def test_two_texts_of_one_part_are_two_versions(fingerprints, versions) -> None:
    assert versions_of_code(fingerprints) == versions


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def broken(:\n    pass\n", r"mine\.py, line 1: .*invalid syntax"),
        ("\n\nx = 1 / 0\n", r"mine\.py, line 3: ZeroDivisionError: division by zero"),
        ("import no_such_library\n", r"mine\.py, line 1: ModuleNotFoundError: .*no_such_library"),
        ("import beside\n", r"mine\.py imports 'beside', which lies beside it"),
        (OWN.replace('"own_step"', '"adamw"'), r"'adamw' is defined twice, in .*adamw\.py and in"),
        (
            OWN.replace('"own_step")', '"another")'),
            r"its class says name = 'own_step': give it the field name: str = 'another'",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(text, told) -> None:
    Path("mine.py").write_text(text)
    Path("beside.py").write_text("")
    with pytest.raises(UserError, match=told):
        loading.load(["mine.py"])
    assert not loading.loaded() and OPTIMIZERS.is_shipped("adamw")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no.py", r"there is no file 'no\.py' \(looked in "),
        ("no.such.module", "there is no module 'no.such.module'"),
        ("", "'' is neither the path of a .py file nor a module"),
    ],
)
def test_what_is_not_there_is_named(name, told) -> None:
    with pytest.raises(UserError, match=told):
        loading.load([name])


def test_files_of_one_name_in_two_folders_are_two() -> None:
    for folder, name in (("a", "one_step"), ("b", "two_step")):
        Path(folder).mkdir()
        Path(folder, "mine.py").write_text(OWN.replace("own_step", name))
    loading.load(["a/mine.py", "b/mine.py"])
    assert {"one_step", "two_step"} <= set(OPTIMIZERS)


def test_a_module_is_known_by_what_it_imports_of_its_package() -> None:
    package = Path("ownpackage")
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "shared.py").write_text("RADIUS = 2.0\n")
    (package / "unused.py").write_text("")
    (package / "parts.py").write_text(
        OWN.replace("= 2.0", "= RADIUS").replace("\n\n\n@", "\nfrom .shared import RADIUS\n\n\n@")
    )
    (first,) = loading.load(["ownpackage.parts"])
    assert OPTIMIZERS["own_step"].radius == 2.0
    assert {f.name for f in first.files} == {"parts.py", "shared.py"}
    (package / "unused.py").write_text("x = 1\n")
    assert loading.load(["ownpackage.parts"])[0] is first
    (package / "shared.py").write_text("RADIUS = 4.0\n")
    loading.load(["ownpackage.parts"])
    assert OPTIMIZERS["own_step"].radius == 4.0


@pytest.mark.parametrize("is_frozen", [True, False])
def test_another_process_imports_what_this_one_has(tmp_path, is_frozen) -> None:
    """A worker its frozen copy, which an edit does not reach; another child the file itself."""
    Path("mine.py").write_text(OWN)
    package = Path("ownpackage")
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(OWN.replace("own_step", "packaged_step"))
    loading.load(["mine.py", "ownpackage.parts"])
    code = freeze(tmp_path / "outputs") if is_frozen else None
    environment = child_environment(code)
    Path("mine.py").write_text(OWN.replace("2.0", "5.0"))
    program = (
        "from scalinglab.scaling.extensions.handing_on import load_inherited; load_inherited();"
        "from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS as o;"
        "print(o['own_step'].radius, o['packaged_step'].radius)"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [("2.0" if is_frozen else "5.0"), "2.0"]


def test_what_no_worker_could_import_is_refused() -> None:
    exec(compile(OWN, "cell", "exec"), {"__name__": "__main__"})
    with pytest.raises(UserError, match=r"'own_step' is registered by '__main__', which workers"):
        used.check_importable(SCIENCE)
    Path("mine.py").write_text(OWN.replace("own_step", "filed_step"))
    loading.load(["mine.py"])
    used.check_importable({"optimizer": {"name": "filed_step"}})


def test_a_study_is_read_again_with_what_it_was_planned_with(tmp_path, caplog) -> None:
    Path("mine.py").write_text(OWN)
    names = [str(Path("mine.py").resolve())]
    loading.keep_copies(names, tmp_path / "study")
    Path("mine.py").unlink()
    loading.load_again(names, tmp_path / "study")
    assert OPTIMIZERS["own_step"].radius == 2.0
    loading.load_again(["/no/such.py"], tmp_path / "study")
    assert "the study is read without it" in caplog.text
