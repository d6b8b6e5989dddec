"""Conditions on rows, as in ``D < 1e9 and status != 'done'``: read, checked, and applied.

Rows and runs are chosen by one grammar everywhere (docs/conditions.md,
`scalinglab.scaling.text.condition_grammar`). The cost of a condition is bounded by its length.

Numbers are floats throughout, so no product of whole numbers wraps at 2^63. Any comparison with a
missing value (NaN, None) is false except ``!=``, as in numpy and pandas.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.text import cells
from scalinglab.scaling.text.cells import CellError, Value
from scalinglab.scaling.text.condition_grammar import (
    WORDS,
    column_name,
    read_expression,
    shortened,
    shown,
)

_RUN = {"run": "run_id", "run_id": "run"}


class ConditionError(ConfigError):
    """A condition that cannot be read or applied.

    Attributes
    ----------
    reason : str
        The part that is wrong, and why.
    """

    def __init__(self, text: str, reason: str, allowed: str = "") -> None:
        self.reason = reason.removeprefix(f"{shortened(text)!r}: ")
        super().__init__(f"{shortened(text)!r}: {self.reason}{allowed}")


class _PartError(CellError):
    """An operation that makes no sense, with the part of the condition that has it."""


@dataclass(frozen=True)
class Condition:
    """A condition that was parsed, independent of any rows.

    Attributes
    ----------
    text : str
        The condition as it was written.
    names : tuple of str
        The columns that it reads. Keys of a configuration have dots: ``model.width``.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def holds(self, columns: Mapping[str, Any], rows: int) -> np.ndarray:
        """The rows in which it is true.

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
            If a name is no column, or an operation makes no sense for the values of a column.
        """
        source = {name: _column_of(name, columns) for name in self.names}
        for name, column in source.items():
            if column not in columns:
                available = f"; there are: {listed(columns)}"
                raise ConditionError(self.text, _unknown(name, columns), available)
        values = {name: cells.column(columns[source[name]], rows) for name in self.names}
        try:
            flags = _flags(self._tree, _evaluate(self._tree, values))
        except CellError as error:
            raise ConditionError(self.text, str(error)) from None
        return np.broadcast_to(flags, rows)

    def used(self, columns: Collection[str]) -> set[str]:
        """Which of some columns it reads: only these need be given with their values."""
        return {_column_of(name, columns) for name in self.names} & {*columns}


def parse(text: str) -> Condition:
    """Read a condition.

    Raises
    ------
    ConditionError
        If it is no condition, is too long, or names no column.
    """
    try:
        tree, names = read_expression(text)
    except CellError as error:
        raise ConditionError(text, str(error)) from error
    return Condition(text, names, tree)


def _column_of(name: str, columns: Collection[str]) -> str:
    """The column that a name in a condition stands for.

    The runs of a file are told apart by its column ``run``, those of a study by ``run_id``, and
    either name serves for both.
    """
    other = _RUN.get(name, name)
    return other if name not in columns and other in columns else name


def listed(names: Iterable[Any], most: int = 40) -> str:
    """Names of columns for a message, as they stand in a condition; at most `most` of them."""
    names = [str(name) for name in names]
    names = [n if all(p.isidentifier() for p in n.split(".")) else f"`{n}`" for n in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more


def _unknown(name: str, columns: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(columns), n=1)
    return f"unknown column {name!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _evaluate(node: ast.expr, columns: Mapping[str, Value]) -> Value:
    try:
        return _apply(node, columns)
    except _PartError:
        raise
    except CellError as error:
        raise _PartError(f"{shown(node)}: {error}") from None


def _apply(node: ast.expr, columns: Mapping[str, Value]) -> Value:
    name = column_name(node)
    if name is not None:
        return columns[name] if name in columns else cells.constant(WORDS[name])
    if isinstance(node, ast.Constant):
        return cells.constant(node.value)
    if isinstance(node, ast.BoolOp):
        operands = [_flags(operand, _evaluate(operand, columns)) for operand in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return Value("flag", functools.reduce(join, operands))
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
    flags = np.bool_(True)
    left = _evaluate(node.left, columns)
    for symbol, comparator in zip(node.ops, node.comparators, strict=True):
        if isinstance(comparator, ast.List | ast.Tuple):
            if comparator is not node.comparators[-1]:
                raise CellError("nothing can be compared with a list but by in")
            elements = [_evaluate(element, columns) for element in comparator.elts]
            comparison = cells.among(type(symbol), left, elements)
        else:
            right = _evaluate(comparator, columns)
            comparison = cells.compare(type(symbol), left, right)
            left = right
        flags = np.logical_and(flags, comparison)
    return Value("flag", flags)


def _flags(node: ast.expr, value: Value) -> Any:
    """A value as true or false; a missing value is false."""
    if value.kind == "empty":
        return np.zeros(np.shape(value.data), bool)
    if value.kind != "flag":
        raise _PartError(
            f"{shown(node)} is {value.noun}, not a condition: compare it, as in"
            f" {shortened(ast.unparse(node))} {value.example}"
        )
    return np.equal(value.data, 1)
