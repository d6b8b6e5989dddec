"""Text for a shell: commands to copy, and lines of a job's script.

Names and paths are data. In a shell's hands a folder called ``$(date)`` or ``a;b`` would be run.
"""

from __future__ import annotations

import re
import shlex

_PLAIN = re.compile(r"[\w./:@%+-]*", re.ASCII)  # neither Hydra nor a shell sees more in it
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def override(key: str, value: object) -> str:
    """``key=value`` as a word of a command that a person copies: read back, it is the value."""
    text = argument(key, value)
    return text if text == f"{key}={value}" else shlex.quote(text)


def argument(key: str, value: object) -> str:
    """``key=value`` as Hydra reads it, for a process that is started without a shell."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return f"{key}={text}"
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    ending = re.search(r"\\*$", escaped)
    return f"{key}='{escaped}{ending[0] if ending else ''}'"


def has_control_characters(text: str) -> bool:
    """Whether a text has a line break or another control character, which no quotes tame."""
    return _CONTROL.search(text) is not None
