"""Scores of texts: columns that a store computes from the text alone.

A new score is a function of a string, registered by name. Whoever changes what a shipped one gives
raises its version: it is part of the key of a store, so a store of before is not taken for one of
after.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from scalinglab.scaling.registry import Registry, function

Score = Callable[[str], float]
SCORES: Registry[Score] = Registry("data.options.scores")
SCORES.wants(function)

# Score -> version, of those shipped ones that no longer give what they first gave (version 1).
VERSIONS: dict[str, int] = {}

_COMMENT = re.compile(r"^\s*(?:#|//|--|\*|/\*)")
_STRING = re.compile(r'"""(?:.|\n)*?(?:"""|\Z)|\'\'\'(?:.|\n)*?(?:\'\'\'|\Z)')
_WORD = re.compile(r"[^\W\d_]{2,}")


@SCORES.register("compression")
def compression(text: str) -> float:
    """Bytes after zlib over bytes before: low for repetitive text.

    The length is that of the zlib of this Python at its default level: another library (zlib-ng,
    say) packs some texts shorter or longer. A store keeps the numbers that it was made with.
    """
    encoded = text.encode()
    return len(zlib.compress(encoded)) / len(encoded)


@SCORES.register("words")
def words(text: str) -> float:
    """The share of the characters that are in words of two letters or more."""
    return sum(map(len, _WORD.findall(text))) / len(text)


@SCORES.register("comments")
def comments(text: str) -> float:
    """The share of the characters that are in comments and docstrings of code."""
    strings = sum(map(len, _STRING.findall(text)))
    code = _STRING.sub("", text)
    lines = (line for line in code.splitlines(keepends=True) if _COMMENT.match(line))
    return (strings + sum(map(len, lines))) / len(text)
