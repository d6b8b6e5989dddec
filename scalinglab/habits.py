"""Flags that people know from other programs, most of them from Hydra, and what answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scalinglab.scaling.errors import ConfigError

QUIET = ("-q", "--quiet")
VERBOSE = ("-v", "--verbose")
CONFIG = ("-c", "--cfg")
_AXES = (
    "one command trains one configuration or one study; the values of an axis stand in a study:"
    " study.blocks.NAME.grid, as in `scaling new NAME`"
)
_OWN_GROUPS = "folders with groups of your own are named by config=DIR, or called scaling_conf/"
_ANSWERS = {
    "-m": _AXES,
    "--multirun": _AXES,
    "-r": "a finished command is run again by the same words: what is trained already is kept",
    "--config-name": "the configuration is one; studies and groups of yours are files of"
    " scaling_conf/, as scaling_conf/study/mine.yaml, and are chosen by study=mine",
    "--config-path": _OWN_GROUPS,
    "--config-dir": _OWN_GROUPS,
    "--resolve": "references are resolved always: --cfg job shows the values",
    "--info": "--cfg job shows the configuration, `scaling parts` what can be chosen",
}


class Flags(NamedTuple):
    """The options that flags among some arguments stand for.

    Attributes
    ----------
    quiet : bool
        Whether progress is not told.
    verbose : bool
        Whether tables keep all columns, and a refusal says where in the code it was made.
    show_config : bool
        Whether the composed configuration is wanted, and nothing else.
    arguments : list of str
        The arguments without the flags.
    """

    quiet: bool
    verbose: bool
    show_config: bool
    arguments: list[str]


def read_flags(arguments: Sequence[str]) -> Flags:
    """Take known flags out of a verb's arguments.

    Raises
    ------
    ConfigError
        On a flag that has no meaning here; the message says what to use instead.
    """
    quiet = verbose = show_config = False
    others = []
    words = iter(arguments)
    for word in words:
        flag = word.partition("=")[0]
        if word in QUIET:
            quiet = True
        elif word in VERBOSE:
            verbose = True
        elif flag in CONFIG:
            config_kind = word.partition("=")[2] or next(words, "job")
            if config_kind != "job":
                raise ConfigError(
                    f"{flag} {config_kind}: no Hydra job is run; allowed is {flag} job"
                )
            show_config = True
        elif flag in _ANSWERS:
            raise ConfigError(f"{flag}: {_ANSWERS[flag]}")
        else:
            others.append(word)
    return Flags(quiet, verbose, show_config, others)
