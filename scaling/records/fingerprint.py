"""A hash of the code that makes a run's numbers.

Code is not part of a run's identity, but every run records this fingerprint: a plan warns when a
finished run was trained by other code, and a fit refuses to mix two fingerprints unless told to.
Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import functools
import hashlib
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent.parent  # scaling/
# The files whose code decides a loss curve, from here.
FILES = (
    "model/architecture.py",
    "model/counts.py",
    "model/parametrization.py",
    "engine/network/transformer.py",
    "engine/network/initialization.py",
    "run/step_options.py",
    "engine/network/loss.py",
    "engine/network/stacked.py",
    "optimizers/settings.py",
    *(
        f"engine/optimizers/{path.name}"
        for path in sorted((HERE / "engine/optimizers").glob("*.py"))
    ),
    "engine/steps/eager.py",
    "engine/steps/captured.py",
    "engine/steps/compiled.py",
    "engine/steps/dealt.py",
    "engine/steps/sharded.py",
    "schedule/pieces.py",
    "data/order.py",
    "data/store.py",
)
LAYOUT = {tokenize.NEWLINE: ";", tokenize.INDENT: "{", tokenize.DEDENT: "}"}


@functools.cache
def code_fingerprint() -> str:
    """Ten hexadecimal letters."""
    content = hashlib.sha256()
    for name in FILES:
        content.update(significant(HERE.joinpath(name).read_text()).encode())
    return content.hexdigest()[:10]


def significant(source: str) -> str:
    """The tokens of a source text that are neither comments, docstrings nor layout."""
    kept: list[str] = []
    statement: list[tuple[int, str]] = []
    for kind, text in _tokens(source):
        if kind not in LAYOUT:
            statement.append((kind, text))
            continue
        # A statement of strings alone does nothing: a docstring.
        if any(k != tokenize.STRING for k, _ in statement):
            kept += [text for _, text in statement] + [LAYOUT[kind]]
        elif kind != tokenize.NEWLINE:
            kept.append(LAYOUT[kind])
        statement = []
    return " ".join(kept)


def _tokens(source: str) -> Iterator[tuple[int, str]]:
    """Types and texts of the tokens, f-strings whole: Python 3.12 began to look inside them."""
    lines = source.splitlines(keepends=True)
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            start = start if depth else token.start
            depth += 1
        elif name == "FSTRING_END":
            depth -= 1
            if not depth:
                yield tokenize.STRING, _between(lines, start, token.end)
        elif not depth and token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            yield token.type, token.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    text = "".join(lines[first - 1 : last])
    return text[left : len(text) - len(lines[last - 1]) + right]
