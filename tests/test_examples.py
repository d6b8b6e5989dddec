"""Examples in docstrings are run; those of the application train, and are not."""

import doctest
import importlib
import pkgutil

import pytest

from scalinglab import analysis, scaling, sweeps

MODULES = [
    m.name
    for package in (scaling, sweeps, analysis)
    for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not m.ispkg and not m.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [finder.find(importlib.import_module(name)) for name in MODULES]
    assert sum(len(test.examples) for tests in found for test in tests) >= 3
