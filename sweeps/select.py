"""Choose runs of a study by a few words.

    failed                                 a state
    gpu_oom                                a class of failure
    k3v9                                   the beginning of a run's id
    model.width >= 64 and seed == 1        an expression of the run's configuration
    state == 'interrupted' or N > 1e6      and of what status shows of it

Expressions have comparisons, ``and``, ``or``, ``not`` and ``in``; nothing is called.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from scaling.config import ConfigError, unknown_key
from scaling.records.failures import CLASSES
from scaling.records.run_folder import STATES
from sweeps.state import StoredRun, states

_COMPARISONS = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}


def select(runs: Iterable[StoredRun], text: str) -> list[StoredRun]:
    """The runs that a selection names, in their order.

    Raises
    ------
    ConfigError
        If it cannot be read, names what no run has, or chooses nothing.
    """
    runs = list(runs)
    found = _by_word(runs, text.strip()) if _is_word(text.strip()) else _by_expression(runs, text)
    if not found:
        raise ConfigError(
            f"runs = {text!r} chooses none of the {len(runs)} runs; allowed are a state "
            f"({', '.join(STATES)}), a class of failure ({', '.join(CLASSES)}), the beginning of "
            "a run's id, or an expression such as 'model.width >= 64 and seed == 1'"
        )
    return found


def _is_word(text: str) -> bool:
    return text.isalnum() or text in CLASSES


def _by_word(runs: list[StoredRun], word: str) -> list[StoredRun]:
    if word in STATES:
        current = states(runs)
        return [r for r in runs if current[r.folder.run_id] == word]
    if word in CLASSES:
        return [r for r in runs if _failure(r) == word]
    return [r for r in runs if r.folder.run_id.startswith(word)]


def _by_expression(runs: list[StoredRun], text: str) -> list[StoredRun]:
    tree = parse(text)
    current = states(runs)
    return [r for r in runs if matches(tree, facts(r, current[r.folder.run_id]))]


def facts(run: StoredRun, state: str) -> dict[str, Any]:
    """What an expression may name: the configuration, and what status shows."""
    described = run.folder.description()
    return {
        **described["config"],
        "model": described["config"]["model"] | described["shape"],
        "run_id": run.folder.run_id,
        "state": state,
        "failure": _failure(run),
        "role": ",".join(run.roles),
        "N": described["counts"]["n_matmul"],
        "D": described["tokens"],
        "lr": described["lr_peak"],
        "steps": described["steps"],
    }


def _failure(run: StoredRun) -> str | None:
    attempt = run.folder.latest_attempt()
    if attempt is None or attempt.end is None or run.folder.done() is not None:
        return None
    return attempt.end.get("class") if attempt.end["reason"] == "failed" else None


def matches(tree: ast.expr, known: Mapping[str, Any]) -> bool:
    """Whether an expression holds of some facts."""
    return bool(_value(tree, known))


def parse(text: str) -> ast.expr:
    """An expression, not yet applied to anything.

    Raises
    ------
    ConfigError
        If it cannot be read.
    """
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"{text!r} cannot be read as an expression") from error


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.BoolOp):
        test = all if isinstance(node.op, ast.And) else any
        return test(_value(v, known) for v in node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand, known)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, known)
    if isinstance(node, ast.Compare):
        return _compare(node, known)
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(v, known) for v in node.elts]
    if isinstance(node, ast.Name):
        return _look_up(known, node.id)
    if isinstance(node, ast.Attribute):
        return _look_up(_value(node.value, known), node.attr)
    raise ConfigError(f"{ast.unparse(node)!r}: only comparisons, and, or, not and in are allowed")


def _compare(node: ast.Compare, known: Mapping[str, Any]) -> bool:
    left = _value(node.left, known)
    for symbol, part in zip(node.ops, node.comparators, strict=True):
        right = _value(part, known)
        compare = _COMPARISONS.get(type(symbol))
        if compare is None:
            raise ConfigError(f"{ast.unparse(node)!r}: use ==, !=, <, <=, >, >= or in")
        try:
            if not compare(left, right):
                return False
        except TypeError:  # None < 3: not known of this run, so it does not hold
            return False
        left = right
    return True


def _look_up(known: Any, name: str) -> Any:
    if not isinstance(known, Mapping) or name not in known:
        raise ConfigError(unknown_key(name, known if isinstance(known, Mapping) else ()))
    return known[name]
