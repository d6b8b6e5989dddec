"""Texts of users and programs, made harmless where they are shown.

A message may hold anything: escape sequences that clear a terminal, carriage returns that hide what
stood before, halves of characters that no encoding can write. Such characters are shown escaped.
"""

from __future__ import annotations

import unicodedata

# Control, bidirectional and other invisible characters, lone surrogates, unusual line ends.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LONGEST = 400  # characters of a message in a table or a line of progress


def printable(text: str) -> str:
    r"""A text without characters that drive a terminal; its lines stay, tabs become spaces.

    >>> printable("loss \x1b[31mred\r\x9b done")
    'loss \\x1b[31mred\\r\\x9b done'
    """
    return "".join(map(_shown, text.expandtabs(4)))


def one_line(text: str) -> str:
    r"""`printable`, for a cell of a table: line ends are shown escaped as well.

    >>> one_line("first\nsecond")
    'first\\nsecond'
    """
    return printable(text).replace("\n", "\\n")


def excerpt(text: str) -> str:
    """The beginning of a long message, up to a word's end, and how long the whole is."""
    if len(text) <= _LONGEST:
        return text
    begin = text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
    return f"{begin} ... ({len(text):,} characters; scaling logs shows all)"


def _shown(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
