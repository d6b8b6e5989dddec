"""The grammar of conditions: a text is parsed, and all parts of it must be allowed ones.

A condition is data that a person typed or copied from somewhere: nothing of it is run as Python.
"""

from __future__ import annotations

import ast
import re
import warnings

from scalinglab.scaling.text import cells
from scalinglab.scaling.text.cells import CellError

MAX_LENGTH = 10_000  # characters: several hundred ids of runs
MAX_DEPTH = 100
WORDS = {"true": True, "false": False, "null": None}  # as YAML and JSON write them
_PARTS = (  # the allowed nodes of Python's grammar; ast.Call only with a function's name
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.Invert,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Compare,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.Name,
    ast.Attribute,
    ast.Load,
    ast.Call,
    *cells.ARITHMETIC,
    *cells.COMPARISONS,
)
GRAMMAR = (
    "only comparisons (==, !=, <, <=, >, >=, in, not in), and, or, not, + - * / // % **, "
    f"{', '.join(cells.FUNCTIONS)}, numbers, 'text' and `names of columns` are allowed"
)
# Strings stay as they are; a name in backticks and & and | are not Python's.
_TOKENS = re.compile(r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|`([^`\n]*)`|([&|])""")


def read_expression(text: str) -> tuple[ast.expr, tuple[str, ...]]:
    """Parse a condition: its expression, and the names of the columns in it.

    Raises
    ------
    CellError
        If it cannot be parsed, has a part that is not allowed, is too long, or names no column.
    """
    if len(text) > MAX_LENGTH:
        raise CellError(f"it has {len(text)} characters; at most {MAX_LENGTH} are read")
    quoted: dict[str, str] = {}
    try:
        with warnings.catch_warnings():  # of escapes in text
            warnings.simplefilter("ignore")
            tree = ast.parse(_pythonic(text, quoted).strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise CellError(f"cannot be read as an expression{_hint(text)}") from error
    _check_depth(tree)
    for node in ast.walk(tree):  # before any message, so that it shows what the person wrote
        if isinstance(node, ast.Name) and node.id in quoted:
            node.id = f"`{quoted[node.id]}`"
    names: dict[str, None] = {}
    _check(tree, names)
    if not names:
        raise CellError("names no column: it is the same for every row")
    return tree, tuple(names)


def _pythonic(text: str, quoted: dict[str, str]) -> str:
    """The text in Python's grammar: & is and, | is or, names in backticks are placeholders.

    `quoted` gets placeholder -> name.
    """

    def replacement(match: re.Match[str]) -> str:
        string, name, sign = match.groups()
        if string is not None:
            return string
        if sign is not None:
            return " and " if sign == "&" else " or "
        placeholder = f"column{len(quoted)}"
        while placeholder in text:
            placeholder += "_"
        quoted[placeholder] = name
        return f" {placeholder} "

    return _TOKENS.sub(replacement, text)


def _hint(text: str) -> str:
    if re.search(r"(?<![=<>!])=(?!=)", text):
        return "; for 'is equal' write =="
    if "&&" in text or "||" in text:
        return "; write and, or"
    if "@" in text:
        return "; there are no variables (@): write the value"
    return "; an example: D < 1e9 and status != 'done'"


def _check_depth(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise CellError(
                f"nested more than {MAX_DEPTH} deep; write a list, as in"
                " seed in [1, 2], or several conditions"
            )
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _check(node: ast.AST, names: dict[str, None], parent: ast.AST | None = None) -> None:
    """Refuse every part that is not allowed, and collect the names of columns."""
    name = column_name(node)
    if name is not None:
        if ast.unparse(node) not in WORDS:
            names[name] = None
        return
    constant = isinstance(node, ast.Constant) and not isinstance(
        node.value, bool | int | float | str | None
    )
    if constant or not isinstance(node, _PARTS):
        expression = node if isinstance(node, ast.expr) or parent is None else parent
        raise CellError(f"{shown(expression)}: {GRAMMAR}")
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        function = node.func.id if isinstance(node.func, ast.Name) else None
        if function not in cells.FUNCTIONS or len(node.args) != 1 or node.keywords:
            raise CellError(f"{shown(node)}: {GRAMMAR}; a function takes one argument")
        children = list(node.args)
    elif isinstance(node, ast.Attribute):
        raise CellError(f"{shown(node)}: {GRAMMAR}")
    for child in children:
        _check(child, names, node)


def column_name(node: ast.AST) -> str | None:
    """The column that a node names: a word, words with dots between, or anything in backticks."""
    if isinstance(node, ast.Name):
        return node.id.strip("`") if node.id.startswith("`") else node.id
    if isinstance(node, ast.Attribute):
        parent = column_name(node.value)
        return None if parent is None else f"{parent}.{node.attr}"
    return None


def shown(node: ast.AST) -> str:
    """A part of a condition, for a message."""
    return repr(shortened(ast.unparse(node)))


def shortened(text: str) -> str:
    """At most 80 characters of a text."""
    return text if len(text) <= 80 else f"{text[:77]}..."
