"""The line that starts a program of somebody else: words with placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from scaling.config import ConfigError

PLACEHOLDERS = ("config", "folder", "checkpoints", "program", "python", "processes", "threads",
                "device")  # fmt: skip
# Braces around a lower-case word; a shell's ${variable} is not meant.
_PLACE = re.compile(r"(?<!\$)\{([a-z_]+)\}")


def check_command(words: Sequence[str]) -> None:
    """Raise `ConfigError` if ``execution.command`` is empty or has an unknown placeholder."""
    allowed = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if not words:
        raise ConfigError("trainer.kind = 'command' needs execution.command, the words of the "
                          f"command line; placeholders are {allowed}")
    for word in words:
        for name in _PLACE.findall(word):
            if name not in PLACEHOLDERS:
                raise ConfigError(f"execution.command has {{{name}}} in {word!r}; allowed are "
                                  f"{allowed}")


def fill(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words with the placeholders' values."""
    return [_PLACE.sub(lambda found: str(values[found[1]]), word) for word in words]
