"""Completion of the command line in a shell: the words that may stand at the cursor.

A shell's script (`script`) calls ``scaling --complete LINE``, which prints a word a line. Only
names of files and of dataclasses are read, so that it answers at once; names of laws and of replays
stand in their files, which takes a second.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import typing
from collections.abc import Iterable
from pathlib import Path

from scalinglab.options import OVERRIDES, Options
from scalinglab.own_groups import OWN, SHARED, SHIPPED, shipped_groups
from scalinglab.scaling.config import RunConfig
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
_KEY = re.compile(r"^([a-z]\w*):", re.MULTILINE)


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
    keys += [*_bare_values(earlier[0]), "--json", "--help", "--quiet", "--verbose"]
    if OVERRIDES in options:
        keys += [f"{group}=" for group in shipped_groups()]
        keys += _settings() if "." in last else {f"{key.split('.')[0]}." for key in _settings()}
    return sorted({key for key in keys if key.startswith(last)})


def _options(verb: str) -> dict[str, dataclasses.Field]:
    module = importlib.import_module(f"scalinglab.verbs.{module_of(verb)}")
    cls: type[Options] = module.VERB.options
    return {f.name: f for f in dataclasses.fields(cls)}


def _settings() -> list[str]:
    """Settings of a run below its groups, as ``model.width=``: of the classes, and of the files."""
    in_files = [
        f"{group}.{key}="
        for group in typing.get_type_hints(RunConfig)
        for path in _paths(group)
        for key in _KEY.findall(path.read_text(encoding="utf-8"))
        if key != "defaults"
    ]
    return [*_fields(RunConfig, ""), *in_files]


def _fields(cls: type, start: str) -> list[str]:
    found = []
    for name, hint in typing.get_type_hints(cls).items():
        kinds = [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]
        if kinds:
            found += _fields(typing.cast(type, kinds[0]), f"{start}{name}.")
        elif start:
            found.append(f"{start}{name}=")
    return found


def _bare_values(verb: str) -> list[str]:
    """What a verb takes without a key."""
    if verb != "replay":
        return []
    # Imported here, because only this verb reads what fits need.
    from scalinglab.analysis.replays.published import REPLAYS

    return list(REPLAYS)


def _values(key: str, options: dict[str, dataclasses.Field]) -> list[str]:
    """The values of a key that has few of them, with names."""
    if key == "law" and key in options:
        # Imported here, because only these keys read the files of laws.
        from scalinglab.analysis.laws import LAWS

        return sorted(LAWS)
    if key == "study":
        return sorted({*_files("study"), *_folders("outputs/studies")})
    if key in options:
        field = options[key]
        if field.type == "bool":
            return ["false", "true"]
        return sorted(map(str, field.metadata.get("among") or ()))
    return sorted({*_files(key)}) if OVERRIDES in options else []


def _files(group: str) -> typing.Iterator[str]:
    """Names of a group's files, the shipped ones and those of the current folder."""
    return (path.stem for path in _paths(group))


def _paths(group: str) -> typing.Iterator[Path]:
    for folder in (SHIPPED, Path(OWN), Path(SHARED)):
        yield from (folder / group).glob("*.yaml")


def _folders(place: str) -> list[str]:
    return [path.name for path in Path(place).glob("*") if path.is_dir()]
