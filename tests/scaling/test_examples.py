"""Examples in docstrings are run."""

import doctest
import importlib
import pkgutil

import pytest

from scalinglab import scaling

MODULES = [
    m.name
    for m in pkgutil.walk_packages(scaling.__path__, "scalinglab.scaling.")
    if not m.ispkg and not m.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [finder.find(importlib.import_module(name)) for name in MODULES]
    assert sum(len(test.examples) for tests in found for test in tests) >= 3
