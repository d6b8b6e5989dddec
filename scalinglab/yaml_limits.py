"""Limits on the size of a YAML file: a few lines of aliases can expand to terabytes."""

from __future__ import annotations

from pathlib import Path

import yaml

from scalinglab.scaling.errors import ConfigError

NODES = 100_000  # values that a file may hold, each alias counted as what it stands for
DEPTH = 50  # groups within groups


def check_size(file: Path) -> None:
    """Refuse a file that nests too deep, holds too many values, or contains itself.

    It reads tokens and expands no alias, so its time is linear in the file's length. A file that
    is not YAML passes: whoever reads it next refuses it.

    Raises
    ------
    ConfigError
        Naming the file, the line and the limit.
    """
    sizes: dict[str, int] = {}  # anchor -> values below it
    opened: list[tuple[str | None, int]] = [(None, 0)]  # groups that are open: anchor, size so far
    try:
        for event in yaml.parse(file.read_bytes(), Loader=yaml.SafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, size = opened.pop()
            elif isinstance(event, yaml.CollectionStartEvent):
                opened.append((event.anchor, 1))
                if len(opened) > DEPTH:
                    raise _refusal(file, event, f"nests more than {DEPTH} groups")
                continue
            elif isinstance(event, yaml.AliasEvent):
                if any(anchor == event.anchor for anchor, _ in opened):
                    raise _refusal(file, event, f"'*{event.anchor}' stands inside what it names")
                anchor, size = None, sizes.get(event.anchor or "", 1)
            elif isinstance(event, yaml.ScalarEvent):
                anchor, size = event.anchor, 1
            else:
                continue
            if anchor is not None:
                sizes[anchor] = size
            opened[-1] = (opened[-1][0], opened[-1][1] + size)
            if opened[-1][1] > NODES:
                raise _refusal(file, event, f"holds more than {NODES:,} values")
    except (yaml.YAMLError, UnicodeDecodeError):
        return


def _refusal(file: Path, event: yaml.Event, reason: str) -> ConfigError:
    assert event.start_mark is not None  # events of a text have one
    return ConfigError(
        f"{file}, line {event.start_mark.line + 1}: {reason}; write out what the "
        "study needs, without aliases (*name)"
    )
