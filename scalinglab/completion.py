"""Completion of the command line in a shell: the words that may stand at the cursor.

A shell's script (`script`) calls ``scaling --complete LINE``, which prints a word a line. Only
names of files and of dataclasses are read, so that it answers at once.
"""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Iterable
from pathlib import Path

from scalinglab.options import OVERRIDES, Options
from scalinglab.own_groups import OWN, SHARED, SHIPPED, shipped_groups
from scalinglab.verb import module_of

_SCRIPTS = {
    # Bash takes "=" for the end of a word, and completes what follows it alone.
    "bash": """\
_scaling() {
    local word words
    COMPREPLY=()
    words=$(scaling --complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    for word in $words; do
        [[ $word == *=?* ]] && word=${word#*=}
        COMPREPLY+=("$word")
    done
}
complete -o nospace -F _scaling scaling
""",
    "zsh": """\
#compdef scaling
_scaling() {
    local -a words_here
    words_here=(${(f)"$(scaling --complete "${BUFFER[1,CURSOR]}" 2>/dev/null)"})
    compadd -S '' -Q -a words_here
}
compdef _scaling scaling
""",
    "fish": """\
complete -c scaling -f -a '(scaling --complete (commandline -cp))'
""",
}
SHELLS = tuple(_SCRIPTS)


def script(shell: str) -> str:
    """The script that one of ``SHELLS`` sources to complete the command."""
    return _SCRIPTS[shell]


def complete(line: str, verbs: Iterable[str]) -> list[str]:
    """The words that may stand at the end of a line that begins with the name of the program."""
    *earlier, last = line.split(" ")
    earlier = [word for word in earlier if word][1:]
    if not earlier:
        return [verb for verb in verbs if verb.startswith(last)]
    if earlier[0] not in verbs:
        return []
    key, equals, value = last.partition("=")
    options = _options(earlier[0])
    if equals:
        return [f"{key}={word}" for word in _values(key, options) if word.startswith(value)]
    keys = [f"{name}=" for name in options if name != OVERRIDES]
    if OVERRIDES in options:
        keys += [f"{group}=" for group in shipped_groups() if f"{group}=" not in keys]
    return sorted(key for key in {*keys, "--json", "--help"} if key.startswith(last))


def _options(verb: str) -> dict[str, dataclasses.Field]:
    module = importlib.import_module(f"scalinglab.verbs.{module_of(verb)}")
    cls: type[Options] = module.VERB.options
    return {f.name: f for f in dataclasses.fields(cls)}


def _values(key: str, options: dict[str, dataclasses.Field]) -> list[str]:
    """The values of a key that has few of them, with names."""
    if key == "study":
        return sorted({*_files("study"), *_folders("outputs/studies")})
    if key in options:
        field = options[key]
        if field.type == "bool":
            return ["false", "true"]
        return sorted(map(str, field.metadata.get("among") or ()))
    return sorted(_files(key)) if OVERRIDES in options else []


def _files(group: str) -> typing.Iterator[str]:
    """Names of a group's files, the shipped ones and those of the current folder."""
    for folder in (SHIPPED, Path(OWN), Path(SHARED)):
        yield from (path.stem for path in (folder / group).glob("*.yaml"))


def _folders(place: str) -> list[str]:
    return [path.name for path in Path(place).glob("*") if path.is_dir()]
