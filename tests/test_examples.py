"""Examples in docstrings are run; those of the application train, and are not."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

from scalinglab import analysis, scaling, sweeps

FILES = {
    m.name: Path(m.module_finder.find_spec(m.name).origin)
    for package in (scaling, sweeps, analysis)
    for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not m.ispkg and not m.name.endswith("__main__")
}
WITH_EXAMPLES = [name for name, file in FILES.items() if ">>> " in file.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_give_what_they_say(name):
    tested = doctest.testmod(importlib.import_module(name))
    assert tested.failed == 0 and tested.attempted


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 3


def test_every_module_can_be_imported():
    for name in FILES:
        importlib.import_module(name)
