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
from pathlib import Path

# The files whose code decides a loss curve, from here.
FILES = (
    "model.py",
    "optimizer.py",
    "engine.py",
    "schedule.py",
    "data/order.py",
    "data/store.py",
)
STATEMENT_ENDS = {tokenize.NEWLINE: "", tokenize.INDENT: "{", tokenize.DEDENT: "}"}


@functools.cache
def code_fingerprint() -> str:
    """Ten hexadecimal letters."""
    here = Path(__file__).parent
    content = hashlib.sha256()
    for name in FILES:
        content.update(significant(here.joinpath(name).read_text()).encode())
    return content.hexdigest()[:10]


def significant(source: str) -> str:
    """The tokens of a source text that are neither comments, docstrings nor layout."""
    kept: list[str] = []
    statement_start = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        if token.type in STATEMENT_ENDS:
            statement_start = True
            kept.append(STATEMENT_ENDS[token.type])
        else:
            docstring = token.type == tokenize.STRING and statement_start
            statement_start = False
            if not docstring:
                kept.append(token.string)
    return " ".join(filter(None, kept))
