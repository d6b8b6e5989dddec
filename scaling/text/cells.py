"""The values of conditions: columns of numbers, true and false, text, and missing values."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalinglab.scaling.errors import UserError

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: operator.eq,
    ast.NotIn: operator.ne,
}
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
}
_NOUNS = {
    "number": ("a number", "> 0"),
    "text": ("text", "== 'a'"),
    "flag": ("true or false", ""),
    "list": ("a list", ""),
    "mixed": ("numbers and text", "== 1"),
    "empty": ("empty", ""),
}
_NEGATED = (ast.NotEq, ast.NotIn)
_LIST = "the cells are lists: 'text' in NAME asks what they hold"


class CellError(UserError):
    """An operation that makes no sense for the values."""


@dataclass(frozen=True)
class Value:
    """A column, or one value for all rows.

    Attributes
    ----------
    kind : {"number", "flag", "text", "list", "mixed", "empty"}
        The kind of the cells; "empty" if all are missing, "flag" for true and false.
    data : array, shape (rows,) or ()
        Numbers as floats and flags as bools or floats, NaN if missing; others as objects, None if
        missing.
    """

    kind: str
    data: Any

    @property
    def noun(self) -> str:
        """The kind in words, for a message."""
        return _NOUNS[self.kind][0]

    @property
    def example(self) -> str:
        """An example of a comparison, for a message."""
        return _NOUNS[self.kind][1]


def column(values: Any, rows: int) -> Value:
    """The cells of a column: an array or a list, shape (rows,)."""
    if not isinstance(values, np.ndarray):
        elements = list(values)
        values = np.empty(rows, object)
        values[:] = elements
    if values.dtype == bool:
        return Value("flag", values)
    if values.dtype.kind in "iuf":
        numbers = values.astype(float)
        return Value("empty" if np.isnan(numbers).all() else "number", numbers)
    return _of_cells([_plain(cell) for cell in values.tolist()])


def constant(value: Any) -> Value:
    """One value for all rows.

    Raises
    ------
    CellError
        For a number that is too large.
    """
    value = _plain(value)
    if isinstance(value, float):
        _check_finite(value)
    cells = _of_cells([value])
    return Value(cells.kind, cells.data[0])


def arithmetic(operation: type[ast.operator], left: Value, right: Value) -> Value:
    """The result of an operation on two numeric values."""
    with np.errstate(all="ignore"):
        return _calculated(ARITHMETIC[operation](_numbers(left), _numbers(right)))


def function(name: str, value: Value) -> Value:
    """A function of a numeric value."""
    with np.errstate(all="ignore"):
        return _calculated(FUNCTIONS[name](_numbers(value)))


def negative(value: Value) -> Value:
    """The negative of a numeric value."""
    return _calculated(-_numbers(value))


def compare(operation: type[ast.cmpop], left: Value, right: Value) -> Any:
    """The rows in which a comparison is true; with a missing value only ``!=`` is."""
    if operation in (ast.In, ast.NotIn):
        return np.equal(_contains(right, left), operation is ast.In)
    negated = operation in _NEGATED
    if right.kind == "empty" and np.ndim(right.data) == 0:  # == null
        return _without_order(operation, np.equal(_missing(left), not negated))
    kinds = {left.kind, right.kind} - {"empty"}
    if kinds <= {"number", "flag"}:
        return COMPARISONS[operation](_floats(left), _floats(right))
    if "list" in kinds:
        raise CellError(_LIST)
    if kinds == {"text"} or ("mixed" in kinds and operation in (ast.Eq, ast.NotEq)):
        return _cell_by_cell(COMPARISONS[operation], left, right, missing=negated)
    raise CellError(_unlike(left, right))


def among(operation: type[ast.cmpop], left: Value, items: Sequence[Value]) -> Any:
    """The rows in which a value is in a list (``in`` and ``not in``; == and != mean the same)."""
    if operation not in (ast.In, ast.NotIn, ast.Eq, ast.NotEq):
        raise CellError("a list is compared by in and not in alone")
    if any(np.ndim(item.data) for item in items):
        raise CellError("a list holds numbers and 'text', no columns")
    if left.kind == "list":
        raise CellError(_LIST)
    keys = {_key(item.data) for item in items if item.kind != "empty"}
    if items and left.kind != "mixed":
        _check_comparable(left, items)
    if left.kind in ("number", "flag", "empty"):
        is_among = np.isin(_floats(left), [key for key in keys if isinstance(key, float)])
    else:
        is_among = np.array([_key(cell) in keys for cell in np.ravel(left.data)], bool)
        is_among = is_among.reshape(np.shape(left.data))
    if any(item.kind == "empty" for item in items):
        is_among = np.logical_or(is_among, _missing(left))
    return np.logical_not(is_among) if operation in _NEGATED else is_among


def _check_comparable(left: Value, items: Sequence[Value]) -> None:
    numeric = left.kind != "text"
    if left.kind != "empty" and not any(
        item.kind == "empty" or (item.kind != "text") == numeric for item in items
    ):
        raise CellError(_unlike(left, items[0]))


def _unlike(left: Value, right: Value) -> str:
    return f"{left.noun} is compared with {right.noun} (a number in quotes is text)"


def _contains(whole: Value, part: Value) -> Any:
    """The rows whose text or list contains a part."""
    if part.kind not in ("text", "empty") and whole.kind != "list":
        raise CellError("to the right of in stands a list, as in seed in [1, 2]")
    if whole.kind not in ("text", "list", "empty") or np.ndim(whole.data) == 0:
        raise CellError("to the right of in stands a list, as in status in ['done', 'stopped']")
    return _cell_by_cell(lambda cell, of: of in cell, whole, part, missing=False)


def _without_order(operation: type[ast.cmpop], flags: Any) -> Any:
    if operation not in (ast.Eq, ast.NotEq):
        raise CellError("nothing is above or below null; == and != ask whether it is missing")
    return flags


def _plain(cell: Any) -> Any:
    """A cell as None, bool, float, str or list."""
    if cell is None or isinstance(cell, bool):
        return cell
    if isinstance(cell, str):
        return str(cell)  # also of a StrEnum
    if isinstance(cell, np.bool_):
        return bool(cell)
    if isinstance(cell, int | float | np.number):
        try:
            return None if cell != cell else float(cell)
        except OverflowError:
            return math.inf if cell > 0 else -math.inf
    if isinstance(cell, list | tuple | set | np.ndarray):
        return [_plain(part) for part in cell]
    return None if type(cell).__name__ in ("NAType", "NaTType") else str(cell)


def _of_cells(cells: list[Any]) -> Value:
    kinds = {_kind(cell) for cell in cells if cell is not None}
    if kinds <= {"number", "flag"}:
        kind = "number" if "number" in kinds else next(iter(kinds), "empty")
        return Value(kind, np.array([np.nan if c is None else float(c) for c in cells]))
    objects = np.empty(len(cells), object)
    objects[:] = cells
    return Value(kinds.pop() if len(kinds) == 1 else "mixed", objects)


def _kind(cell: Any) -> str:
    if isinstance(cell, bool):
        return "flag"
    return {float: "number", str: "text"}.get(type(cell), "list")


def _key(cell: Any) -> Any:
    """A cell as an element of a set, in which 1, 1.0 and true are equal, as in numpy."""
    if cell is None or isinstance(cell, str):
        return cell
    return tuple(map(_key, cell)) if isinstance(cell, list) else float(cell)


def _numbers(value: Value) -> Any:
    if value.kind not in ("number", "flag", "empty"):
        raise CellError(f"{value.noun} is no number")
    return _floats(value)


def _floats(value: Value) -> Any:
    return np.asarray(value.data, float)


def _missing(value: Value) -> Any:
    if value.kind in ("number", "flag", "empty"):
        return np.isnan(_floats(value))
    cells = np.ravel(value.data)
    is_missing = np.fromiter((cell is None for cell in cells), bool, len(cells))
    return is_missing.reshape(np.shape(value.data))


def _cell_by_cell(
    holds: Callable[[Any, Any], bool], left: Value, right: Value, *, missing: bool
) -> Any:
    left_cells, right_cells = np.broadcast_arrays(_objects(left), _objects(right))
    flags = [
        missing if a is None or b is None else bool(holds(a, b))
        for a, b in zip(left_cells.ravel(), right_cells.ravel(), strict=True)
    ]
    return np.array(flags, bool).reshape(left_cells.shape)


def _objects(value: Value) -> np.ndarray:
    if value.kind not in ("number", "flag", "empty"):
        return np.asarray(value.data, object)
    empty: Any = None
    return np.where(np.isnan(_floats(value)), empty, _floats(value).astype(object))


def _calculated(numbers: Any) -> Value:
    """The result of a calculation; one that is the same for all rows must be finite."""
    if np.ndim(numbers) == 0:
        _check_finite(numbers)
    return Value("number", numbers)


def _check_finite(number: Any) -> None:
    if not np.isfinite(number):
        raise CellError("this is no finite number")
