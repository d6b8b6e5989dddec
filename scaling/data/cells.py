"""Single texts of a source: what is refused in one, and its scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from scalinglab.scaling.data.scores import SCORES
from scalinglab.scaling.errors import ConfigError


def no_string(place: str, column: str, value: Any) -> str:
    """The sentence that refuses a text that is none."""
    hint = ""
    if isinstance(value, dict) and value:
        key = next((k for k, v in value.items() if isinstance(v, str)), next(iter(value)))
        hint = f"; columns inside it are named by paths: data.options.text={column}.{key}"
    return (
        f"{place}: the column {column!r} (data.options.text) holds {str(value)[:40]!r}"
        f" ({type(value).__name__}); a string is wanted{hint}"
    )


def check_characters(text: str, column: str, place: str) -> None:
    """Refuse what no encoding writes: halves of characters, as a wrong decoder leaves them.

    Raises
    ------
    ConfigError
        Naming the place of the row.
    """
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{place}: the column {column!r} (data.options.text) has at character"
            f" {error.start} {text[error.start]!r}, which is half of a character: repair the text,"
            " or leave the row out"
        ) from None


def score_of(name: str, text: str, place: str) -> float:
    """The score of a text by a registered function.

    Raises
    ------
    ConfigError
        If the function fails or gives no number; names the place of the row.
    """
    try:
        score: Any = SCORES[name](text)
    except Exception as error:  # whatever the code of somebody else does
        raise ConfigError(
            f"data.options.scores = {name!r} fails for {place}: {type(error).__name__}: {error}"
        ) from error
    if isinstance(score, bool) or not isinstance(score, int | float | np.number):
        raise ConfigError(
            f"data.options.scores = {name!r} gave {str(score)[:40]!r} for {place}: "
            "it is a number that is wanted of each text"
        )
    return float(score)
