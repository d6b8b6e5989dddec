"""The command that starts another program: words with placeholders."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from scalinglab.scaling.errors import ConfigError

PLACEHOLDERS = (
    "config",
    "folder",
    "checkpoints",
    "program",
    "python",
    "processes",
    "threads",
    "device",
)
# Braces around a lower-case word, but not a shell's ${variable}.
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish", "ssh")
_SCRIPT = re.compile(r"-[a-z]*c")  # -c, -lc, -ec
_PLACE = re.compile(r"(?<!\$)\{([a-z_]+)\}")


def check_command(words: Sequence[str]) -> None:
    """Raise `ConfigError` if ``execution.command`` is empty or has an unknown placeholder."""
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if not words:
        raise ConfigError(
            "trainer.kind = 'command' needs execution.command, the words of the "
            f"command line; placeholders are {allowed}"
        )
    for word in words:
        for name in _PLACE.findall(word):
            if name not in PLACEHOLDERS:
                raise ConfigError(
                    f"execution.command has {{{name}}} in {word!r}; allowed are {allowed}"
                )


def fill(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words with values in place of the placeholders.

    Raises
    ------
    ConfigError
        If a value contains characters that a shell interprets: the program gets its words
        unchanged, but the word after ``bash -c`` is a script.
    """
    for word in _scripts(words):
        for name in _PLACE.findall(word):
            value = str(values[name])
            if shlex.quote(value) != value:
                raise ConfigError(
                    f"execution.command has {{{name}}} in {word!r}, which a shell reads: it would"
                    f" see more than a name in {value!r}; give the value as a word after the"
                    f" script, as in: bash, -c, 'python train.py \"$1\"', bash, '{{{name}}}'"
                )
    return [_PLACE.sub(lambda found: str(values[found[1]]), word) for word in words]


def _scripts(words: Sequence[str]) -> list[str]:
    """The words that a shell interprets: the one after -c, and all arguments of ssh."""
    scripts, shell = [], ""
    for before, word in zip(("", *words), words, strict=False):
        if shell == "ssh" or (shell and _SCRIPT.fullmatch(before)):
            scripts.append(word)
        name = word.rpartition("/")[2]
        shell = name if name in _SHELLS else shell
    return scripts
