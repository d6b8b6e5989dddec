"""Conditions on rows, as in ``D < 1e9 and status != 'done'``: read, checked, and applied.

A condition is data that a person typed, maybe copied from somewhere: nothing of it is run as
Python. It is parsed, each part must be one of those that are named below, and what it costs is
bounded by its length. One grammar serves wherever rows or runs are chosen (docs/conditions.md).

Numbers are floats throughout, so no product of whole numbers wraps at 2^63. A missing value (NaN,
None) meets no comparison but ``!=``, as in numpy and pandas.
"""

from __future__ import annotations

import ast
import difflib
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.text import cells
from scalinglab.scaling.text.cells import CellError, Value

MAX_LENGTH = 10_000  # characters: several hundred ids of runs
MAX_DEPTH = 100
_WORDS = {"true": True, "false": False, "null": None}  # as YAML and JSON write them
_PARTS = (  # of Python's grammar; ast.Call only of a function by name
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


class ConditionError(ConfigError):
    """A condition that cannot be read or applied.

    Attributes
    ----------
    reason : str
        Which part, and what is wrong with it.
    """

    def __init__(self, text: str, reason: str, allowed: str = "") -> None:
        self.reason = reason.removeprefix(f"{_cut(text)!r}: ")
        super().__init__(f"{_cut(text)!r}: {self.reason}{allowed}")


class _Named(CellError):
    """An operation that makes no sense, with the part of the condition where it stands."""


@dataclass(frozen=True)
class Condition:
    """A condition that was read; nothing is known yet of the rows.

    Attributes
    ----------
    text : str
        As it was written.
    names : tuple of str
        The columns that it reads. Parts of a configuration have dots: ``model.width``.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def holds(self, columns: Mapping[str, Any], rows: int) -> np.ndarray:
        """In which rows it holds.

        Parameters
        ----------
        columns : mapping
            Name -> array or list of length `rows`; looked up for `names` only.
        rows : int

        Returns
        -------
        array of bool, shape (rows,)

        Raises
        ------
        ConditionError
            If a name is no column, or an operation makes no sense of the values in a column.
        """
        for name in self.names:
            if name not in columns:
                columns_there = f"; there are: {listed(columns)}"
                raise ConditionError(self.text, _unknown(name, columns), columns_there)
        values = {name: cells.column(columns[name], rows) for name in self.names}
        try:
            flags = _flags(self._tree, _evaluate(self._tree, values))
        except CellError as error:
            raise ConditionError(self.text, str(error)) from None
        return np.broadcast_to(flags, rows)


def parse(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    ConditionError
        If it is no condition, is too long, or names no column.
    """
    try:
        tree, names = _read(text)
    except CellError as error:
        raise ConditionError(text, str(error)) from error
    return Condition(text, names, tree)


def listed(names: Iterable[Any], most: int = 40) -> str:
    """Names of columns for a message, as a condition has them; cut where there are very many."""
    names = [str(name) for name in names]
    names = [n if all(p.isidentifier() for p in n.split(".")) else f"`{n}`" for n in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _read(text: str) -> tuple[ast.expr, tuple[str, ...]]:
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
    for node in ast.walk(tree):  # before anything is shown: messages name what was written
        if isinstance(node, ast.Name) and node.id in quoted:
            node.id = f"`{quoted[node.id]}`"
    names: dict[str, None] = {}
    _check(tree, names)
    if not names:
        raise CellError("names no column: it is the same for every row")
    return tree, tuple(names)


def _pythonic(text: str, quoted: dict[str, str]) -> str:
    """Backticked names as plain ones (``placeholder -> name`` in `quoted`), & as and, | as or."""

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
    """Refuse every part that is not of the grammar, and collect the names of columns."""
    name = _name(node)
    if name is not None:
        if ast.unparse(node) not in _WORDS:
            names[name] = None
        return
    constant = isinstance(node, ast.Constant) and not isinstance(
        node.value, bool | int | float | str | None
    )
    if constant or not isinstance(node, _PARTS):
        whole = node if isinstance(node, ast.expr) or parent is None else parent
        raise CellError(f"{_shown(whole)}: {GRAMMAR}")
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        function = node.func.id if isinstance(node.func, ast.Name) else None
        if function not in cells.FUNCTIONS or len(node.args) != 1 or node.keywords:
            raise CellError(f"{_shown(node)}: {GRAMMAR}; a function takes one argument")
        children = list(node.args)
    elif isinstance(node, ast.Attribute):
        raise CellError(f"{_shown(node)}: {GRAMMAR}")
    for child in children:
        _check(child, names, node)


def _name(node: ast.AST) -> str | None:
    """The column that a node names: a word, words with dots between, or anything in backticks."""
    if isinstance(node, ast.Name):
        return node.id.strip("`") if node.id.startswith("`") else node.id
    if isinstance(node, ast.Attribute):
        parent = _name(node.value)
        return None if parent is None else f"{parent}.{node.attr}"
    return None


def _shown(node: ast.AST) -> str:
    """A part of a condition, for a message."""
    return repr(_cut(ast.unparse(node)))


def _cut(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unknown(name: str, columns: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(columns), n=1)
    return f"unknown column {name!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _evaluate(node: ast.expr, columns: Mapping[str, Value]) -> Value:
    try:
        return _apply(node, columns)
    except _Named:
        raise
    except CellError as error:
        raise _Named(f"{_shown(node)}: {error}") from None


def _apply(node: ast.expr, columns: Mapping[str, Value]) -> Value:
    name = _name(node)
    if name is not None:
        return columns[name] if name in columns else cells.constant(_WORDS[name])
    if isinstance(node, ast.Constant):
        return cells.constant(node.value)
    if isinstance(node, ast.BoolOp):
        parts = [_flags(part, _evaluate(part, columns)) for part in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        value = parts[0]
        for part in parts[1:]:
            value = join(value, part)
        return Value("flag", value)
    if isinstance(node, ast.Compare):
        return _compare(node, columns)
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, columns), _evaluate(node.right, columns)
        return cells.arithmetic(type(node.op), left, right)
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)  # `_check` refuses others
        return cells.function(node.func.id, _evaluate(node.args[0], columns))
    if isinstance(node, ast.UnaryOp):
        value = _evaluate(node.operand, columns)
        if isinstance(node.op, ast.Not | ast.Invert):
            return Value("flag", np.logical_not(_flags(node.operand, value)))
        return cells.negative(value) if isinstance(node.op, ast.USub) else value
    raise CellError("a list stands to the right of in")


def _compare(node: ast.Compare, columns: Mapping[str, Value]) -> Value:
    value = np.bool_(True)
    left = _evaluate(node.left, columns)
    for symbol, part in zip(node.ops, node.comparators, strict=True):
        if isinstance(part, ast.List | ast.Tuple):
            if part is not node.comparators[-1]:
                raise CellError("nothing can be compared with a list but by in")
            items = [_evaluate(item, columns) for item in part.elts]
            met = cells.among(type(symbol), left, items)
        else:
            right = _evaluate(part, columns)
            met = cells.compare(type(symbol), left, right)
            left = right
        value = np.logical_and(value, met)
    return Value("flag", value)


def _flags(node: ast.expr, value: Value) -> Any:
    """A value as true or false; what is missing is not true."""
    if value.kind == "empty":
        return np.zeros(np.shape(value.data), bool)
    if value.kind != "flag":
        raise _Named(
            f"{_shown(node)} is {value.noun}, not a condition: compare it, as in"
            f" {_cut(ast.unparse(node))} {value.example}"
        )
    return np.equal(value.data, 1)
