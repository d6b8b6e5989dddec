"""Definitions by name: each once, found in their package when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.registry import Registry


def test_a_name_has_one_definition() -> None:
    colours: Registry[int] = Registry("paint.colour")
    assert colours.register("red")(1) == 1 and colours.register("red")(colours["red"]) == 1
    with pytest.raises(
        ValueError, match=r"paint\.colour = 'red' is defined twice, in .*test_registry\.py and in o"
    ):
        colours.register("red", "other")(2)


def test_what_runs_again_registers_anew_but_what_is_shipped_stays() -> None:
    colours: Registry[int] = Registry("paint.colour")
    colours.register("red", "scalinglab.red")(1)
    with pytest.raises(ValueError, match="defined twice"):
        colours.register("red", "scalinglab.red")(2)
    colours.register("blue")(1)
    colours.register("blue")(2)
    assert colours["red"] == 1 and colours["blue"] == 2
    assert colours.is_shipped("red") and not colours.is_shipped("blue")


def test_a_definition_does_not_call_itself_otherwise() -> None:
    class Blue:
        chooser, colour = "colour", "red"

    with pytest.raises(
        ValueError, match="its class says colour = 'red': give it the field colour: str = 'blue'"
    ):
        Registry[type]("colour").register("blue")(Blue)


def test_an_unknown_name_lists_what_there_is() -> None:
    colours: Registry[int] = Registry("paint.colour")
    colours.register("red")(1)
    with pytest.raises(
        ConfigError, match=r"^paint\.colour = 'rad' is not one of: red; did you mean 'red'\?$"
    ):
        colours.find("rad")
    with pytest.raises(ConfigError, match=r"^paint\.colour = 'blue' is not one of: red$"):
        colours.find("blue")
    with pytest.raises(ConfigError, match=r"^blocks\.b\.colour = 'rad' is not one of"):
        colours.find("rad", "blocks.b.colour")


def test_a_package_s_files_define_and_may_ask_for_each_other(tmp_path: Path, monkeypatch) -> None:
    """One that fails is not taken for done: it fails again."""
    package = tmp_path / "paints"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from scalinglab.scaling.registry import Registry\nCOLOURS = Registry('colour', 'paints')\n"
    )
    (package / "pink.py").write_text(
        "from paints import COLOURS\nassert 'pink' not in COLOURS\nCOLOURS.register('pink')('p')\n"
    )
    (package / "red.py").write_text(
        "from paints import COLOURS, pink\nif BROKEN:\n    raise OSError\n"
        "COLOURS.register('red')('r')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("builtins.BROKEN", True, raising=False)
    from paints import COLOURS

    for _ in range(2):
        with pytest.raises(OSError):
            len(COLOURS)
    monkeypatch.setattr("builtins.BROKEN", False)
    assert list(COLOURS) == ["pink", "red"] and COLOURS.find("red") == "r"
    for name in [name for name in sys.modules if name.partition(".")[0] == "paints"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_name_is_looked_for_in_its_own_file_first() -> None:
    """Nobody pays for the imports of the others."""
    code = (
        "import sys; from scalinglab.analysis.reporting.verdict import VERDICTS; VERDICTS['tune'];"
        "print([m for m in sys.modules if m.startswith('scalinglab.analysis.studies.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "studies.tune'" in done.stdout and "studies.optimizers'" not in done.stdout
