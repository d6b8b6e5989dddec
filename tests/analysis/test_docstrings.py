"""Docstrings of the analysis: what a caller may give, and what is refused, is said where it is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "analysis").rglob("*.py"))
SELF = {"self", "cls"}


def public_functions(file: str) -> Iterator[ast.FunctionDef]:
    """Functions, and methods of classes, whose names do not begin with an underscore."""
    nodes: list[ast.stmt] = list(ast.parse((ROOT / file).read_text()).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            nodes += node.body
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def refuses(function: ast.FunctionDef) -> bool:
    """Whether a function itself raises what its user can mend."""
    errors = [n.exc for n in ast.walk(function) if isinstance(n, ast.Raise) and n.exc is not None]
    names = {ast.unparse(e.func if isinstance(e, ast.Call) else e) for e in errors}
    return bool(names & {"UserError", "ConfigError", "TooFewPoints", "NoBestSplit", "BadRun"})


@pytest.mark.parametrize("file", FILES)
def test_what_is_refused_is_said(file: str) -> None:
    silent = [
        function.name
        for function in public_functions(file)
        if refuses(function)
        and not re.search(
            r"\braises?\b|\brefuses?\b", ast.get_docstring(function) or "", re.IGNORECASE
        )
    ]
    assert not silent, f"{file}: these raise UserError without a word: {silent}"


@pytest.mark.parametrize("file", FILES)
def test_a_list_of_parameters_is_complete(file: str) -> None:
    for function in public_functions(file):
        text = ast.get_docstring(function) or ""
        if "Parameters\n---" not in text:
            continue
        arguments = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
        left_out = [
            name for name in arguments if name not in SELF and not re.search(rf"\b{name}\b", text)
        ]
        assert not left_out, f"{file}, {function.name}: {', '.join(left_out)} not documented"
